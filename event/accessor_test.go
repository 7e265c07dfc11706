package event

import (
	"strings"
	"testing"
)

// accessorRecord has values of all kinds.
var accessorRecord = func() Value {
	v, _, err := AppendJSON(nil, []byte(`{"k":"hello","s":"str","a":"A",`+
		`"m":{"k":"mk","d.t":"dot","sp ace":"space","q'x":"quo","k2":1,"k2":2},`+
		`"l":["l0",{"n":"ln"},[1,[2]]],"i":-42,"f":1.5,"f2":1e20,"b":true,"n":null,`+
		`"big":18446744073709551615,"_u":"und","s-x":"dash","s/x":"slash","@t":"at","dup":1,"dup":2}`))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	// And two that JSON has not.
	n, body, _ := ReadMapHeader(v)
	b := append(AppendMapHeader(nil, n+2), body...)
	b = AppendBinary(AppendString(b, "bin"), []byte("\x00\xff"))
	return AppendExt(AppendString(b, "ext"), 1, []byte{1})
}()

func TestLookup(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		a, err := ParseAccessor(path)
		if err != nil {
			t.Errorf("ParseAccessor(%s): %v", path, err)
			return
		}
		v, ok := a.Lookup(accessorRecord)
		got := string(AppendText(nil, v))
		if ok != (want != "") || got != want {
			t.Errorf("%s is %s, %v; want %s", path, got, ok, want)
		}
		if v, ok2 := a.LookupIn(accessorRecord.Get); ok2 != ok || string(AppendText(nil, v)) != want {
			t.Errorf("LookupIn of %s differs", path)
		}
		if a.String() != path {
			t.Errorf("String of %s is %s", path, a)
		}
	}
	f("$k", `"hello"`)
	f("k", `"hello"`)
	f("@t", `"at"`) // A plain name may hold anything.
	f("$m['k']", `"mk"`)
	f("$m['k2']", `2`)
	f("$m['d.t']", `"dot"`)
	f("$m['sp ace']", `"space"`)
	f("$m['q''x']", `"quo"`)
	f("$m['nope']", ``)
	f("$m[0]", ``)
	f("$m['k']['z']", ``)
	f("$l[0]", `"l0"`)
	f("$l[1]['n']", `"ln"`)
	f("$l[2][1][0]", `2`)
	f("$l[3]", ``)
	f("$l[99999999999999999999]", ``)
	f("$l['0']", ``)
	f("$i", `-42`)
	f("$n", `nil`)
	f("$dup", `2`)
	f("$_u", `"und"`)
	f("$s-x", `"dash"`)
	f("$s/x", `"slash"`)
	f("$nope", ``)
	f("$nope['a']", ``)
	f("$s['x']", `"str"`) // The value itself where a path leads into a string.
	f("$i[0]", `-42`)
	f("$@s", `"str"`)
	f("$s.x", `"str"`)
	f("$l", `["l0", {"n"=>"ln"}, [1, [2]]]`)

	if _, ok := (&Accessor{key: "k"}).Lookup(Value("\x90")); ok {
		t.Error("found a key in an array")
	}
}

func TestAccessorTellsWhatItIgnores(t *testing.T) {
	f := func(path, key, ignored string) {
		t.Helper()
		a, err := ParseAccessor(path)
		if err != nil || a.Key() != key || a.Ignored() != ignored {
			t.Errorf("ParseAccessor(%s) = key %q, ignored %q, %v", path, a.Key(), a.Ignored(), err)
		}
	}
	f("$a", "a", "")
	f("$a['b.c'][0]", "a", "")
	f("$a.b", "a", ".b")
	f("$a $b", "a", " $b")
	f("a.b", "a.b", "")
	f("a$b", "a", "$b")
}

func TestParseAccessorRefuses(t *testing.T) {
	for _, path := range []string{"", "$", "$TAG", "$TAG[1]", "$1", "$['a']", "$[0]", "$a[", "$a[]", "$a['b'", "$a['b]",
		"$a[b]", `$a["b"]`, "$a[-1]['b'", "$a[01]", "$a:b", "$a['b']-c", "$a$b", "$.a", "$a;"} {
		if a, err := ParseAccessor(path); err == nil {
			t.Errorf("ParseAccessor(%s) = key %q", path, a.Key())
		} else if !strings.Contains(err.Error(), "record accessor") {
			t.Errorf("ParseAccessor(%s): %v", path, err)
		}
	}
}

// The results are those of a rewrite_tag rule of Fluent Bit 5.1.1, except where
// a comment says so.
func TestTemplate(t *testing.T) {
	f := func(pattern, want string) {
		t.Helper()
		tmpl, err := ParseTemplate(pattern)
		if err != nil {
			t.Errorf("ParseTemplate(%s): %v", pattern, err)
			return
		}
		got, _ := tmpl.AppendWith([]byte("<"), TemplateArgs{
			Tag:    "t.one.two",
			Lookup: accessorRecord.Get,
			Capture: func(n int) []byte {
				return []byte([...]string{"he", "h", "e", "", "", "", "", "", "", "", ""}[n])
			},
		})
		if string(got) != "<"+want {
			t.Errorf("%s is %q, want %q", pattern, got[1:], want)
		}
		if tmpl.String() != pattern {
			t.Errorf("String of %s is %s", pattern, tmpl)
		}
	}
	f("", "")
	f("a", "a")
	f("ab", "ab")
	f("x.$a-y", "x.")
	f("by.$s", "by.str")
	f("$s.", "str")
	f("$s..", "str..")
	f("$s. ", "str. ")
	f("$s.x", "str.x")
	f("$s,x", "str,x")
	f("$s x", "str x")
	f(`$s"z`, `str"z`)
	f("$TAG", "t.one.two")
	f("$TAG.", "t.one.two.")
	f("$TAG.x", "t.one.two.x")
	f("$TAG[0]", "t")
	f("$TAG[1].x", "one.x")
	f("$TAG[1].", "one.")
	f("$TAG[1]x", "onex")
	f("$TAG[9].x", ".x")
	f("$TAG[-1].x", ".x")
	f("$TAG[x].y", "t.y")
	f("$TAG[0]$TAG[1]", "t$TAG[1]")
	f("$TAG$s", "t.one.two$s")
	f("$TAG.$s", "t.one.two.str")
	f("$TAG[", "t.one.two[")
	f("$TAG[1", "one[1")
	f("$TAG[1 ", "one[1 ")
	f("$TAGS", "t.one.twoS")
	f("p$", "p$")
	f("p.$", "p.")
	f("$", "")
	f("$1", "h")
	f("$1$2", "he")
	f("$1.$2", "h.e")
	f("$10", "0")
	f("$0.x", "he.x")
	f("$9a", "a")
	f("pre$1post", "prehpost")
	f("$1 $s", "h str")
	f("$s $1", "str h")
	f("$s.$1", "str.h")
	f("$m['k']", "mk")
	f("$m['k'].z", "mk.z")
	f("$m['d.t'].z", "dot.z")
	f("$m['sp ace'].z", "space.z") // Refused by Fluent Bit.
	f("$m['q''x'].z", "quo.z")
	f("$m['nope'].z", ".z")
	f("$m['k']['z'].q", ".q")
	f("$l['z'].q", ".q")
	f("$l[0].z", "l0.z")
	f("$l[1]['n'].z", "ln.z")
	f("$l[9].z", ".z")
	f("$s['x'].z", "str.z")
	f("$l.z", ".z")
	f("$l[1].z", `{"n":"ln"}.z`)
	f("$i.z", "-42.z")
	f("$f.z", "1.500000.z")
	f("$f2.z", "100000000000000000000.000000.z")
	f("$b.z", "true.z")
	f("$n.z", "null.z")
	f("$nope.z", ".z")
	f("$dup.z", "2.z")
	f("$@s.z", "str.z")
	f("$s/x.z", "slash.z")
	f("$s-x.z", "dash.z")
	f("$_u.z", "und.z")
	f("$bin.z", "00ff.z")
	f("$ext.z", ".z")
	f("$big.z", "18446744073709551615.z") // -1 in Fluent Bit.

	for _, pattern := range []string{"$m['k']-x", "$s:z", "$s;z", "$s$1", "x$s$TAG", "$s\tz", "$m['k'", "$m[k].z", `$m["k"].z`, "$l[01].z", "$l[00].z", "$.x", "$ x", "$-"} {
		if _, err := ParseTemplate(pattern); err == nil {
			t.Errorf("ParseTemplate(%s) is accepted", pattern)
		}
	}
}

func TestTemplateTellsWhatIsMissing(t *testing.T) {
	f := func(pattern string, want bool) {
		t.Helper()
		tmpl, err := ParseTemplate(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := tmpl.Append(nil, "a.b", accessorRecord); ok != want {
			t.Errorf("%s: all found is %v, want %v", pattern, ok, want)
		}
	}
	f("text $TAG[7] $TAG $1", true)
	f("$s.$m['k']", true)
	f("$n", true)
	f("$nope.$s", false)
	f("$s.$nope", false)
	f("$m['nope']", false)
	f("$l", false)
	f("$ext", false)
	tmpl, _ := ParseTemplate("$s")
	if _, ok := tmpl.AppendWith(nil, TemplateArgs{}); ok {
		t.Error("found a key without a record")
	}
}

func TestTemplateParts(t *testing.T) {
	f := func(pattern string, static bool, keys string) {
		t.Helper()
		tmpl, err := ParseTemplate(pattern)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range tmpl.Accessors() {
			got = append(got, a.String())
		}
		if tmpl.Static() != static || strings.Join(got, "|") != keys {
			t.Errorf("%s: static %v, keys %v", pattern, tmpl.Static(), got)
		}
	}
	f("a.$TAG.$TAG[1].b", true, "")
	f("a.$1", false, "")
	f("a.$b.$c['d.e'].f", false, "$b|$c['d.e']")
}

func TestTagPart(t *testing.T) {
	f := func(tag string, n int, want string) {
		t.Helper()
		if got := tagPart(tag, n); got != want {
			t.Errorf("part %d of %q is %q, want %q", n, tag, got, want)
		}
	}
	f("a", 0, "a")
	f("a", 1, "")
	f("a.b", 1, "b")
	f("a..b", 1, "")
	f("a..b", 2, "b")
	f(".a", 0, "")
	f("a.", 1, "")
	f("", 0, "")
	f("a.b", -1, "")
}

func TestAccessorsDoNotAllocate(t *testing.T) {
	a, err := ParseAccessor("$l[1]['n']")
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := ParseTemplate("x.$TAG[1].$m['k'].$i $f $l[1]")
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		if _, ok := a.Lookup(accessorRecord); !ok {
			t.Fatal("not found")
		}
		if _, ok := a.LookupIn(accessorRecord.Get); !ok {
			t.Fatal("not found")
		}
		if _, ok := tmpl.Append(buf, "a.b", accessorRecord); !ok {
			t.Fatal("not found")
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkLookup(b *testing.B) {
	a, err := ParseAccessor("$kubernetes['namespace']")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, ok := a.Lookup(benchRecord); !ok {
			b.Fatal("not found")
		}
	}
}

func BenchmarkTemplate(b *testing.B) {
	tmpl, err := ParseTemplate("app.$kubernetes['namespace'].$level")
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 256)
	for b.Loop() {
		tmpl.Append(buf, "kube.var.log", benchRecord)
	}
}

func FuzzAccessor(f *testing.F) {
	for _, s := range []string{"$a['b'][0]", "x.$TAG[1].$m['k'] $1", "$TAG[", "$a['q''x'].b", "$", "p$", "$@t", "$l[99999999999999999999]"} {
		f.Add(s, []byte(accessorRecord))
	}
	f.Add("$a", []byte("\x81\xa1a"))
	f.Fuzz(func(t *testing.T, pattern string, rec []byte) {
		rec = rec[:len(rec):len(rec)]
		if tmpl, err := ParseTemplate(pattern); err == nil {
			tmpl.Append(nil, "a.b.c", rec)
			for _, a := range tmpl.Accessors() {
				a.Lookup(rec)
			}
			if !strings.Contains(pattern, "$") {
				if got, ok := tmpl.Append(nil, "", nil); string(got) != pattern || !ok {
					t.Fatalf("plain text %q became %q", pattern, got)
				}
			}
		}
		a, err := ParseAccessor(pattern)
		if err != nil {
			return
		}
		if !strings.HasSuffix(pattern, a.Ignored()) {
			t.Fatalf("%q ignores %q", pattern, a.Ignored())
		}
		if v, ok := a.Lookup(rec); ok {
			if _, rest, err := Next(v); err != nil || len(rest) > 0 {
				t.Fatalf("%q found % x: %v", pattern, v, err)
			}
		}
	})
}
