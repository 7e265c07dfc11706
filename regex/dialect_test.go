package regex

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// A recorded case is a line of testdata/onigmo.txt.
type recorded struct {
	line          int
	pattern, text string
	want          string
}

func readRecorded(tb testing.TB) []recorded {
	tb.Helper()
	f, err := os.Open("testdata/onigmo.txt")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var out []recorded
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		if strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		fields := strings.Split(sc.Text(), "\t")
		if len(fields) != 3 {
			tb.Fatalf("line %d: %d fields, want 3", n, len(fields))
		}
		pattern, err1 := strconv.Unquote(fields[0])
		text, err2 := strconv.Unquote(fields[1])
		if err1 != nil || err2 != nil {
			tb.Fatalf("line %d: %v %v", n, err1, err2)
		}
		out = append(out, recorded{n, pattern, text, fields[2]})
	}
	if err := sc.Err(); err != nil {
		tb.Fatal(err)
	}
	return out
}

// result formats what pattern finds in text as the recordings do.
func result(pattern, text string) string {
	re, err := Compile(pattern)
	if err != nil {
		return "error"
	}
	return offsets(re, text)
}

func offsets(re *Regexp, text string) string {
	caps, ok, err := re.FindAt([]byte(text), 0, nil)
	if err != nil {
		return err.Error()
	}
	if !ok {
		return "none"
	}
	return strings.Trim(fmt.Sprint(caps), "[]")
}

// A user's configuration was written for Onigmo and must find the same here.
func TestSameAsOnigmo(t *testing.T) {
	for _, r := range readRecorded(t) {
		if got := result(r.pattern, r.text); got != r.want {
			t.Errorf("line %d: %q in %q: got %s, want %s", r.line, r.pattern, r.text, got, r.want)
		}
	}
}

// Whether there is a match must not depend on which method is asked.
func TestMatchAgreesWithFind(t *testing.T) {
	for _, r := range readRecorded(t) {
		re, err := Compile(r.pattern)
		if err != nil {
			continue
		}
		_, ok := re.Find([]byte(r.text), nil)
		if got := re.MatchString(r.text); got != ok {
			t.Errorf("line %d: %q in %q: Match %v, Find %v", r.line, r.pattern, r.text, got, ok)
		}
	}
}

func TestGroups(t *testing.T) {
	f := func(pattern, text string, want ...string) {
		t.Helper()
		re := MustCompile(pattern)
		caps, ok := re.Find([]byte(text), nil)
		if !ok {
			t.Errorf("%q does not match %q", pattern, text)
			return
		}
		var got []string
		for i := 2; i < len(caps); i += 2 {
			v := "unset"
			if caps[i] >= 0 {
				v = text[caps[i]:caps[i+1]]
			}
			if name := re.Names()[i/2]; name != "" {
				v = name + "=" + v
			}
			got = append(got, v)
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q in %q: got %q, want %q", pattern, text, got, want)
		}
	}
	// Plain groups capture only if no group has a name.
	f(`(a)(?:b)(c)`, "abc", "a", "c")
	f(`(a)(?<x>b)(c)`, "abc", "x=b")
	f(`(?'x'b)|(?<y>c)`, "c", "x=unset", "y=c")
	// Several groups can have one name.
	f(`(?<v>\d+)(?:\.(?<v>\d+))?`, "1.2", "v=1", "v=2")
	// A group keeps what it matched last.
	f(`(?:(?<k>\w+)=(?<v>\w*),?)*`, "a=1,b=,c=3", "k=c", "v=3")
	f(`(?<o>\[(?:[^\[\]]|\g<o>)*\])`, "x[a[b]c]", "o=[a[b]c]")
	f(`(?<n>a){0}\g<n>`, "a", "n=a")
	// Flags hold to the end of the group, across its bars.
	f(`(a(?i)b|c)d`, "aCd", "aC")
}

func TestNames(t *testing.T) {
	re := MustCompile(`(?<a>x)(?<b>y)(z)(?<a>w)`)
	if got, want := fmt.Sprintf("%q", re.Names()), `["" "a" "b" "a"]`; got != want {
		t.Errorf("Names() = %s, want %s", got, want)
	}
	if got := re.NumGroups(); got != 3 {
		t.Errorf("NumGroups() = %d, want 3", got)
	}
	re.Names()[1] = "changed"
	if got := re.Names()[1]; got != "a" {
		t.Errorf("the caller changed a name to %q", got)
	}
}

// Fluent Bit takes a pattern as it is, between slashes, or between slashes with letters after them.
func TestSlashes(t *testing.T) {
	f := func(pattern, text, want string) {
		t.Helper()
		if got := result(pattern, text); got != want {
			t.Errorf("%q in %q: got %s, want %s", pattern, text, got, want)
		}
	}
	f("/b/", "abc", "1 2")
	f("/B/i", "abc", "1 2")
	f("/a.c/m", "a\nc", "0 3")
	f("/a.c/", "a\nc", "none")
	f("/ b c /x", "abc", "1 3")
	f("/ B . /xmi", "ab\n", "1 3")
	f("/a/b/", "a/b", "0 3")
	f("//", "a", "0 0")
	// These are text.
	f("/", "a/b", "1 2")
	f("/b", "a/b", "1 3")
	f("a/i", "a/i", "0 3")
	f("/b/o", "/b/o", "0 4")
	f("/b/iz", "/b/iz", "0 5")
	// o changes nothing, but other letters count.
	f("/B/io", "abc", "1 2")
	if got := MustCompile("/a/i").String(); got != "/a/i" {
		t.Errorf("String() = %q", got)
	}
}

// A broken pattern is refused with the place of the problem, counted from the first slash if there is one.
func TestSyntaxErrors(t *testing.T) {
	f := func(pattern string, offset int, msg string) {
		t.Helper()
		_, err := Compile(pattern)
		se, ok := err.(*SyntaxError)
		if !ok {
			t.Errorf("%q: error %v, want a *SyntaxError", pattern, err)
			return
		}
		if se.Pattern != pattern || se.Offset != offset || se.Msg != msg {
			t.Errorf("%q: got %d %q (pattern %q), want %d %q", pattern, se.Offset, se.Msg, se.Pattern, offset, msg)
		}
	}
	f(`a(b`, 3, "end pattern with unmatched parenthesis")
	f(`/a(b/i`, 4, "end pattern with unmatched parenthesis")
	f(`ab)`, 2, "unmatched close parenthesis")
	f(`*a`, 0, "target of repeat operator is not specified")
	f(`a|+`, 2, "target of repeat operator is not specified")
	f(`({2})`, 1, "target of repeat operator is not specified")
	f(`a{3,2}`, 1, "upper is smaller than lower in repeat range")
	f(`a{100001}`, 2, "too big number for repeat range")
	f(`[a`, 2, "premature end of char-class")
	f(`[]`, 1, "empty char-class")
	f(`[z-a]`, 3, "empty range in char class")
	f(`[\d-x]`, 3, "unmatched range specifier in char-class")
	f(`[a-\d]`, 3, "char-class value at end of range")
	f(`[[:foo:]]`, 3, "invalid POSIX bracket type")
	f(`a\`, 2, "end pattern at escape")
	f(`\p{Klingon}`, 2, "invalid character property name {Klingon}")
	f(`\x{110000}`, 2, "too big wide-char value")
	f(`\u12`, 4, "too short digits")
	f(`\777`, 1, "too big number")
	f(`(?`, 2, "end pattern in group")
	f(`(?z)`, 0, "undefined group option")
	f(`(?<n>a)\k<m>`, 10, "undefined name <m> reference")
	f(`\g<m>`, 0, "undefined name <m> reference")
	f(`(?<n-m>a)`, 3, "invalid char in group name <n->")
	f(`(?<1>a)`, 5, "invalid group name <1>")
	f(`(?<>a)`, 3, "group name is empty")
	f(`(a)\2`, 3, "invalid backref number/name")
	f(`(?<n>a)\1`, 7, "numbered backref/call is not allowed. (use name)")
	f(`(?<n>a)(?<n>b)\g<n>`, 14, "multiplex definition name <n> call")
	f(`(?<n>\g<n>a)`, 0, "never ending recursion")
	f(`(?<n>a\g<n>)`, 0, "never ending recursion")
	f(`x(?<=a*)`, 1, "invalid pattern in look-behind")
	f(`(?<!(a))`, 0, "invalid pattern in look-behind")
	f(`(?(1)a|b|c)(d)`, 0, "invalid conditional pattern")
	f(`(?~a)`, 0, "absence operator (?~...) is not supported")
	f(strings.Repeat("(", 5000), 4096, "pattern is nested too deeply")
}

func TestMustCompilePanics(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.HasPrefix(r.(string), "BUG: ") {
			t.Errorf("recovered %v, want a panic that starts with BUG:", r)
		}
	}()
	MustCompile("(")
}
