package engine

import "testing"

func TestPattern(t *testing.T) {
	f := func(match, regex, tag string, want bool) {
		t.Helper()
		p, err := newPattern(match, regex)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.matches(tag); got != want {
			t.Errorf("match %q, match_regex %q, tag %q: %v, want %v", match, regex, tag, got, want)
		}
	}
	f("*", "", "", true)
	f("*", "", "a.b", true)
	f("a", "", "a", true)
	f("a", "", "A", false)
	f("a.*", "", "a.b", true)
	f("a.*", "", "a", false)
	f("*.b", "", "a.b", true)
	f("*.b", "", "a.bc", false)
	f("a*c*e", "", "abcde", true)
	f("a*c*e", "", "abde", false)
	f("a*bc", "", "abcbc", true)
	f("a**b", "", "ab", true)
	f("a*a", "", "a", false)
	f("", "", "a", false)
	f("", "^a", "abc", true)
	f("", "b", "abc", false) // anchored at the start
	f("", "a.c", "abcd", true)
	f("", "x*", "abc", false) // matches, but nothing of the tag
	f("no", "^a", "abc", true)
}

func FuzzWildcard(f *testing.F) {
	f.Add("a*b*c", "aXbYc")
	f.Fuzz(func(t *testing.T, p, tag string) {
		if MatchTag(p, tag) && !slow(p, tag) || !MatchTag(p, tag) && slow(p, tag) {
			t.Errorf("MatchTag(%q, %q) differs from the plain definition", p, tag)
		}
	})
}

// slow is the definition, by dynamic programming.
func slow(p, tag string) bool {
	row := make([]bool, len(tag)+1)
	row[0] = true
	for i := range len(p) {
		next := make([]bool, len(tag)+1)
		if p[i] == '*' {
			any := false
			for j := range next {
				any = any || row[j]
				next[j] = any
			}
		} else {
			for j := 1; j < len(next); j++ {
				next[j] = row[j-1] && tag[j-1] == p[i]
			}
		}
		row = next
	}
	return row[len(tag)]
}
