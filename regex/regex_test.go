package regex

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestFindAt(t *testing.T) {
	f := func(pattern, text string, start int, want string) {
		t.Helper()
		caps, ok, err := MustCompile(pattern).FindAt([]byte(text), start, nil)
		got := strings.Trim(fmt.Sprint(caps), "[]")
		if err != nil {
			got = err.Error()
		} else if !ok {
			got = "none"
		}
		if got != want {
			t.Errorf("%q in %q from %d: got %s, want %s", pattern, text, start, got, want)
		}
	}
	f(`a`, "abca", 1, "3 4")
	f(`(?<=a)b`, "ab", 1, "1 2")
	f(`^b`, "ab", 1, "none")
	f(`^b`, "a\nb", 2, "2 3")
	f(`^b`, "a\nb", 1, "2 3")
	f(`^`, "a\n", 2, "none")
	f(`\Ab`, "ab", 1, "none")
	f(`\Gb`, "ab", 1, "1 2")
	f(`\Gb`, "acb", 1, "none")
	f(`\bb`, "ab", 1, "none")
	f(`$`, "ab", 2, "2 2")
	f(`x*`, "ab", 2, "2 2")
	f(`a`, "ab", 3, "none")
	f(`a`, "ab", -1, "none")
}

// Match_Regex anchors at the start of a tag, whatever the pattern says.
func TestFindPrefix(t *testing.T) {
	f := func(pattern, text, want string) {
		t.Helper()
		caps, ok := MustCompile(pattern).FindPrefix([]byte(text), nil)
		got := "none"
		if ok {
			got = strings.Trim(fmt.Sprint(caps), "[]")
		}
		if got != want {
			t.Errorf("%q at the start of %q: got %s, want %s", pattern, text, got, want)
		}
	}
	f(`kube\.`, "kube.x", "0 5")
	f(`kube\.`, "xkube.x", "none")
	f(`b|ab`, "ab", "0 2")
	f(`.*x`, "aax", "0 3")
	f(`b*`, "ab", "0 0")
	f(`^(a)`, "ab", "0 1 0 1")
}

// The result goes to the buffer of the caller, from its start.
func TestFindReusesBuffer(t *testing.T) {
	re := MustCompile(`(b)(c)?`)
	buf := make([]int, 3, 6)
	caps, ok := re.Find([]byte("ab"), buf)
	if !ok || fmt.Sprint(caps) != "[1 2 1 2 -1 -1]" || &caps[0] != &buf[0] {
		t.Errorf("got %v %v, want the offsets in the same buffer", caps, ok)
	}
	caps, ok = re.Find([]byte("x"), caps)
	if ok || len(caps) != 0 || cap(caps) != 6 {
		t.Errorf("got %v %v, want the empty buffer", caps, ok)
	}
	if caps, ok = re.Find([]byte("b"), make([]int, 0, 5)); !ok || len(caps) != 6 {
		t.Errorf("got %v %v with a buffer that is too small", caps, ok)
	}
}

// What stands in a text need not be UTF-8. A byte of its own is a character of its own.
func TestInvalidUTF8(t *testing.T) {
	f := func(pattern, text, want string) {
		t.Helper()
		if got := result(pattern, text); got != want {
			t.Errorf("%q in %q: got %s, want %s", pattern, text, got, want)
		}
	}
	f(`^(.)(.)(.)$`, "a\xff\x80", "0 3 0 1 1 2 2 3")
	f(`^(.*)(.)$`, "\xc3\xa9\xa9", "0 3 0 2 2 3")
	f(`^(.*)(.)$`, "xé", "0 3 0 1 1 3")
	f(`^(.*?)([^x]+)$`, "xéé", "0 5 0 1 1 5")
	f(`[^a]`, "\xff", "0 1")
	f(`\W`, "\xff", "0 1")
	f(`[\W]`, "\xff", "none")
	f(`\xff`, "a\xff", "1 2")
	f(`\xa9`, "é", "none")
	f(`[\x80-\xff]+`, "aé\xffb", "1 4")
	f(`.`, "\xe3\x81", "0 2")
	f(`(?<=.)b`, "\xffb", "1 2")
	f(`é`, "\xc3\xc3\xa9", "1 3")
	f("\xff+", "a\xff\xff", "1 3")
	f("[\xff]", "ÿ", "0 2") // as Onigmo reads a byte alone in brackets
}

// A pattern that tries more ways than there is time for ends with an error, not with a hang.
func TestStepLimit(t *testing.T) {
	f := func(pattern, text string) {
		t.Helper()
		re := MustCompile(pattern)
		caps, ok, err := re.FindAt([]byte(text), 0, nil)
		if ok || len(caps) != 0 || !errors.Is(err, ErrStepLimit) {
			t.Errorf("%q: got %v %v %v, want ErrStepLimit", pattern, caps, ok, err)
		}
		if _, ok := re.Find([]byte(text), nil); ok {
			t.Errorf("%q: Find found a match", pattern)
		}
		if re.MatchString(text) {
			t.Errorf("%q: MatchString found a match", pattern)
		}
	}
	as := strings.Repeat("a", 60) + "b"
	f(`(a+)+\1c?$`, as)
	f(`(?=(a+)+$)`, as)
	f(`(?>(?:a|aa)+$)`, as)
	f(`(?<g>a|aa){0}(?:\g<g>)+$`, as)
	// Memory is bounded too.
	f(`(?<p>\((?:[^()]|\g<p>)*\))`, strings.Repeat("(", 1<<20))
}

// Most of the patterns known to explode are answered after all.
func TestRemembersWhatFailed(t *testing.T) {
	f := func(pattern, text string) {
		t.Helper()
		if _, ok, err := MustCompile(pattern).FindAt([]byte(text), 0, nil); ok || err != nil {
			t.Errorf("%q: got %v %v, want no match", pattern, ok, err)
		}
	}
	as := strings.Repeat("a", 1000)
	f(`^(a+)+$`, as+"b")
	f(`^(a|a)*$`, as+"b")
	f(`^(a|aa)+$`, as+"b")
	f(`(x+x+)+y`, strings.Repeat("x", 500))
	f(`^(?:.*,){11}P`, strings.Repeat("1,", 100))
	f(`(?:\w+\s?)*!`, strings.Repeat("word ", 100))
	f(`^(?:a?){25}a{25}b`, as[:25])
	// Long texts without a match take time in proportion.
	f(`[^x]*y`, strings.Repeat("a", 1<<20))
	f(`\w+@\w+`, strings.Repeat("a", 1<<20))
	f(`.*?foo`, strings.Repeat("fo", 1<<19))
}

func TestConcurrentUse(t *testing.T) {
	re := MustCompile(`^(?<k>\w+)=(?<v>(?:[^,]|,,)*)$`)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			key := strings.Repeat("k", g+1)
			text := []byte(key + "=" + strings.Repeat("v,,", 50*g))
			var caps []int
			for range 200 {
				var ok bool
				if caps, ok = re.Find(text, caps); !ok || caps[3] != len(key) || caps[5] != len(text) {
					t.Errorf("got %v %v for %q", caps, ok, text)
					return
				}
			}
		})
	}
	wg.Wait()
}

// The hot path of a parser must not allocate.
func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		return // the race detector makes pools forget on purpose
	}
	f := func(pattern, text string) {
		t.Helper()
		re, b := MustCompile(pattern), []byte(text)
		caps := make([]int, 0, 2*(re.NumGroups()+1))
		re.Find(b, caps)
		if n := testing.AllocsPerRun(100, func() {
			re.Find(b, caps)
			re.FindPrefix(b, caps)
			re.Match(b)
			re.MatchString(text)
		}); n != 0 {
			t.Errorf("%q: %v allocations", pattern, n)
		}
	}
	for _, l := range benchLines {
		f(l.pattern, l.line)
		f(l.pattern, "no match at all")
	}
	f(`(a)|(b)|(c)|(d)|(e)|(f)|(g)|(h)|(i)|(j)|(k)|(l)`, "l")
	f(`(?i)(\w+) \1`, "abc ABC")
	f(`(?<=\d)(?=x)(?!y)(?>x+)`, "1xx")
	f(`(?<p>\((?:[^()]|\g<p>)*\))`, "((())())")
	f(`(?:ab|a|b)*c`, strings.Repeat("ab", 200))
	f(`.*error.*`, "an error occurred")
}

// A long pattern compiles to a program in proportion, however its parts are nested.
func TestLongPatterns(t *testing.T) {
	const size = 4096
	repeat := func(s string) string { return strings.Repeat(s, size/len(s)) }
	nest := func(before, after string) string {
		n := size / len(before+after)
		return strings.Repeat(before, n) + "x" + strings.Repeat(after, n)
	}
	for _, pattern := range []string{
		repeat(`\X`), repeat(`[[:alpha:]]`), `(?i)` + repeat(`\p{L}`), repeat(`.*`), repeat(`a|`), repeat(`(?:.*a){9}`), "a" + repeat(`{2}`),
		nest(`(`, `)*`), nest(`(?:a`, `){2}`), nest(`(?:a`, `|b)+`), nest(`(?:x?`, `){1,3}`), nest(`(?:x`, `){1000}`), nest(`(?=`, `)`), nest(`[`, `]`),
		nest(`(?<=`, `)`), nest(`(?>`, `|)`), `(?<a>x)` + repeat(`\g<a>`),
	} {
		re, err := Compile(pattern)
		if err != nil {
			t.Errorf("%.20q…: %v", pattern, err)
			continue
		}
		if n := len(re.full.code); n > 64*size {
			t.Errorf("%.20q…: %d instructions", pattern, n)
		}
		re.MatchString("ax")
	}
}
