package option_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/option"
)

// decode decodes keys and values and returns the problems as text, an error
// with an E in front and a warning with a W.
func decode(fields []option.Field, kv ...string) (out []string) {
	var props []option.Property
	for i := 0; i < len(kv); i += 2 {
		props = append(props, option.Prop(kv[i], kv[i+1]))
	}
	for _, p := range option.Decode(fields, props, "input x", option.Pos{}) {
		out = append(out, strings.ToUpper(p.Severity.String()[:1])+" "+p.Message)
	}
	return out
}

func equal(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("problems\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestDecodeStoresEveryType(t *testing.T) {
	var (
		s, secret, e string
		b            bool
		i            int
		f            float64
		size, bin    int64
		d            time.Duration
		list, lines  []string
		words        [][]string
		prefixed     []string
	)
	fields := []option.Field{
		option.String(&s, "text", "default", "x"), option.Secret(&secret, "password", "x"),
		option.Bool(&b, "flag", true, "x"), option.Int(&i, "count", 7, "x"), option.Float(&f, "ratio", 0.5, "x"),
		option.Size(&size, "size", "1K", "x"), option.BinarySize(&bin, "bin", "1K", "x"), option.Seconds(&d, "wait", "5", "x"),
		option.Enum(&e, "level", "Info", []string{"Info", "Warn"}, "x"),
		option.Strings(&list, "keys", "a,b", "x").WithRepeat(), option.Lines(&lines, "line", "x"),
		option.Words(&words, "rule", 2, 2, "x"),
		option.Prefixed("header.", "x", func(k, v string) error { prefixed = append(prefixed, k+"="+v); return nil }),
	}
	if s != "default" || !b || i != 7 || f != 0.5 || size != 1000 || bin != 1024 || d != 5*time.Second || e != "Info" || !slices.Equal(list, []string{"a", "b"}) {
		t.Error("the defaults are not set")
	}
	equal(t, decode(fields, "TEXT", "a b", "password", "p", "Flag", "off", "count", " -3 ", "ratio", "1e3", "size", "2M", "bin", "2M",
		"wait", "1m", "level", "wARN", "keys", "x, y", "Keys", "z", "line", "one, two", "line", "three", "rule", `a "b c" rest of it`,
		"Header.X-A", "1", "header.b", "2"))
	if s != "a b" || secret != "p" || b || i != -3 || f != 1000 || size != 2_000_000 || bin != 2<<20 || d != time.Minute || e != "Warn" {
		t.Error("values are not stored:", s, secret, b, i, f, size, bin, d, e)
	}
	if !slices.Equal(list, []string{"x", "y", "z"}) || !slices.Equal(lines, []string{"one, two", "three"}) ||
		len(words) != 1 || !slices.Equal(words[0], []string{"a", "b c", "rest of it"}) || !slices.Equal(prefixed, []string{"X-A=1", "b=2"}) {
		t.Errorf("lists are not stored: %q %q %q %q", list, lines, words, prefixed)
	}
}

func TestDecodeTellsAllProblems(t *testing.T) {
	var s, e string
	var b bool
	var i int
	var w [][]string
	fields := []option.Field{
		option.String(&s, "path", "", "x").WithRequired(), option.Bool(&b, "flag", true, "x"),
		option.Int(&i, "count", 0, "x"), option.Enum(&e, "level", "info", []string{"info", "warn"}, "x"),
		option.Words(&w, "rule", 2, 0, "x"), option.String(&s, "old", "", "x").WithDeprecated("use path"),
	}
	equal(t, decode(fields, "paht", "x", "flag", "maybe", "count", "1", "count", "2", "level", "warm", "rule", "one", "old", "y"),
		`E unknown option "paht"`,
		`E option "flag": "maybe" is not a boolean; use true, on, yes, false, off or no`,
		`E option "count" is given more than once; it was first given at line 0`,
		`E option "level": "warm" is not one of info, warn`,
		`E option "rule": "one" has 1 words where at least 2 are expected`,
		`W option "old" is deprecated`,
		`E option "path" is missing`)
	ps := option.Decode(fields, []option.Property{option.Prop("paht", "x"), option.Prop("level", "warm")}, "", option.Pos{})
	if ps[0].Fix != `did you mean "path"?` || ps[1].Fix != `did you mean "warn"?` {
		t.Errorf("no suggestions: %+v", ps)
	}
}

func TestNonsenseThatFluentBitTakesIsAWarning(t *testing.T) {
	var i int
	var f float64
	var d time.Duration
	fields := []option.Field{option.Int(&i, "count", 5, "x"), option.Float(&f, "ratio", 5, "x"), option.Seconds(&d, "wait", "5", "x")}
	equal(t, decode(fields, "count", "12abc", "ratio", "1.5x", "wait", "7 apples"),
		`W option "count": "12abc" is not a whole number and counts as 12`,
		`W option "ratio": "1.5x" is not a number and counts as 1.5`,
		`W option "wait": "7 apples" is not a time; use seconds or a number with a unit, such as 5, 30s, 5m or 1h; it counts as 7s`)
	if i != 12 || f != 1.5 || d != 7*time.Second {
		t.Error(i, f, d)
	}
	decode(fields, "count", "x", "ratio", "x", "wait", "x")
	if i != 0 || f != 0 || d != 0 {
		t.Error("text without a number is not 0:", i, f, d)
	}
	decode(fields, "count", "99999999999999999999", "wait", "99999999999999999999 apples")
	if i != math.MaxInt || d != math.MaxInt64 {
		t.Error("numbers that do not fit are not the largest:", i, d)
	}
}

// Fluent Bit reads nonsense as some number in silence; a check must see it.
func TestCheckSeesWhatIsOnlyWarnedAbout(t *testing.T) {
	var i int
	atLeastOne := func() error {
		if i < 1 {
			return errors.New("it must be at least 1")
		}
		return nil
	}
	fields := []option.Field{option.Int(&i, "count", 5, "x").WithCheck(atLeastOne)}
	equal(t, decode(fields, "count", "abc"), `E option "count": it must be at least 1`)
	equal(t, decode(fields, "count", "3 apples"), `W option "count": "3 apples" is not a whole number and counts as 3`)
}

func TestIgnoredValueKeepsTheDefault(t *testing.T) {
	var b bool
	var size int64
	fields := []option.Field{option.Bool(&b, "flag", true, "x").WithLenient(), option.Size(&size, "size", "1K", "x").WithLenient()}
	equal(t, decode(fields, "flag", "maybe", "size", "huge"),
		`W option "flag": "maybe" is not a boolean; use true, on, yes, false, off or no; the value is ignored`,
		`W option "size": "huge" is not a size; use a number with an optional unit K, M or G, such as 512K or 10M; the value is ignored`)
	if !b || size != 1000 {
		t.Errorf("the values are ignored, but not the defaults any more: %v, %d", b, size)
	}
}

func TestShapes(t *testing.T) {
	var s string
	var list []string
	fields := []option.Field{option.String(&s, "text", "", "x"), option.Strings(&list, "keys", "", "x").WithRepeat()}
	one := func(key string, v option.Value) string {
		ps := option.Decode(fields, []option.Property{{Key: key, Value: v}}, "", option.Pos{})
		if len(ps) == 0 {
			return ""
		}
		return ps[0].Message
	}
	a := option.Value{Shape: option.List, Items: []option.Value{option.Text("a"), option.Text("b, c")}}
	if got := one("keys", a); got != "" || !slices.Equal(list, []string{"a", "b", "c"}) {
		t.Errorf("%s %q", got, list)
	}
	for _, c := range []struct {
		key  string
		v    option.Value
		want string
	}{
		{"text", a, `option "text": a list was given where a single value is expected`},
		{"keys", option.Value{Shape: option.Map}, `option "keys": a map was given where text or a list is expected`},
		{"keys", option.Value{Shape: option.List, Items: []option.Value{a}}, `option "keys": a list stands in a list where text is expected`},
	} {
		if got := one(c.key, c.v); got != c.want {
			t.Errorf("%s: %q, want %q", c.key, got, c.want)
		}
	}
	m := option.Value{Shape: option.Map, Props: []option.Property{option.Prop("Key", "v")}}
	if v, ok := m.Get("kEY"); !ok || v.Text != "v" {
		t.Error("a key of a map is not found")
	}
	if _, ok := m.Get("other"); ok {
		t.Error("a key that is not there is found")
	}
}

func TestExactNameGoesBeforeAPrefix(t *testing.T) {
	var exact string
	var rest []string
	fields := []option.Field{
		option.Prefixed("a.", "x", func(k, v string) error { rest = append(rest, k); return nil }),
		option.String(&exact, "a.b", "", "x").WithAliases("ab"),
	}
	equal(t, decode(fields, "A.B", "1", "a.c", "2"))
	if exact != "1" || !slices.Equal(rest, []string{"c"}) {
		t.Errorf("%q %q", exact, rest)
	}
	equal(t, decode(fields, "ab", "3", "a.", "4"), `E unknown option "a."`)
	if exact != "3" {
		t.Error("the alias is not taken")
	}
}

func TestProblems(t *testing.T) {
	p := option.Problem{Severity: option.Error, Pos: option.Pos{File: "f", Line: 3, Col: 5}, Section: "input tail", Message: "bad", Fix: "mend it"}
	if got, want := p.Error(), "f:3:5: input tail: bad; mend it"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	ps := option.Problems{{Severity: option.Warning, Message: "w"}, {Severity: option.Advice, Message: "a"}}
	if ps.HasErrors() || ps.Err() != nil {
		t.Error("warnings are errors")
	}
	ps = append(ps, p, option.Problem{Message: "second"})
	if !ps.HasErrors() || ps.Err().Error() != p.Error()+"\nsecond" {
		t.Errorf("%v", ps.Err())
	}
	for pos, want := range map[option.Pos]string{{}: "command line", {File: "f"}: "f", {File: "f", Line: 2}: "f:2", {Line: 2, Col: 1}: "command line:2:1"} {
		if pos.String() != want {
			t.Errorf("%q, want %q", pos.String(), want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	for word, want := range map[string]string{
		"paht": "path", "Path_": "path", "mem-buf-limit": "mem_buf_limit", "mem.buf.limit": "mem_buf_limit", "xyzzy": "", "": "", strings.Repeat("x", 1000): "",
	} {
		got := option.DidYouMean(word, []string{"path", "mem_buf_limit", "refresh_interval"})
		if want != "" {
			want = `did you mean "` + want + `"?`
		}
		if got != want {
			t.Errorf("%.20q: %s, want %s", word, got, want)
		}
	}
}
