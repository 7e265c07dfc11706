package regex

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// A patternMaker makes up patterns in the part of the syntax that two dialects read alike.
type patternMaker struct {
	*rand.Rand
	atoms, quantifiers []string
	// group wraps a sub-pattern; k is a random number.
	group func(k int, sub string) string
}

func (m *patternMaker) pick(from []string) string { return from[m.IntN(len(from))] }

func (m *patternMaker) alternatives(depth int) string {
	var branches []string
	for range 1 + max(0, m.IntN(6)-3) {
		var items []string
		for range m.IntN(4) {
			items = append(items, m.item(depth))
		}
		branches = append(branches, strings.Join(items, ""))
	}
	return strings.Join(branches, "|")
}

func (m *patternMaker) item(depth int) string {
	atom := m.pick(m.atoms)
	if depth > 0 && m.IntN(3) == 0 {
		// A group that is repeated matches something: the dialects differ in what they make of empty rounds.
		sub := m.alternatives(depth - 1)
		if m.IntN(2) == 0 {
			return m.group(m.IntN(8), sub)
		}
		return m.group(m.IntN(2), m.pick([]string{"a", "[ab]", "."})+"(?:"+sub+")") + m.pick(m.quantifiers)
	}
	if strings.ContainsAny(atom[:1], "^$") || atom == `\b` || atom == `\B` || atom == `\A` || atom == `\z` {
		return atom
	}
	return atom + m.pick(m.quantifiers)
}

func (m *patternMaker) text() string {
	var s []string
	for range m.IntN(9) {
		s = append(s, m.pick([]string{"a", "b", "c", "ab", "é", "あ", " ", "_", "1", "\n"}))
	}
	return strings.Join(s, "")
}

var (
	commonAtoms       = []string{"a", "b", "c", "ab", "é", ".", `\d`, `[ab]`, `[^a]`, `[a-cé]`, `[^ab]`, "^", "$", `\A`, `\z`, " ", "1", `\n`, `[\d_]`}
	commonQuantifiers = []string{"", "", "", "", "*", "+", "?", "*?", "+?", "??", "{1,2}", "{2,}", "{0,2}?"}
)

// The standard library finds the same, where it understands the pattern.
func TestAgainstStdlib(t *testing.T) {
	m := &patternMaker{
		Rand: rand.New(rand.NewPCG(7, 7)), atoms: append(slices.Clone(commonAtoms), `\B`, `\S`, `\W`), quantifiers: commonQuantifiers,
		group: func(k int, sub string) string {
			return []string{"(", "(?:", "(", "(?:", "(", "(?i:", "(?s:", "("}[k] + sub + ")"
		},
	}
	for range 20000 {
		pattern := m.alternatives(3)
		std, err := regexp.Compile("(?m)" + pattern)
		if err != nil {
			t.Fatalf("%q: %v", pattern, err)
		}
		re, err := Compile(strings.ReplaceAll(pattern, "(?s:", "(?m:"))
		if err != nil {
			t.Fatal(err)
		}
		text := m.text()
		// Ruby's ^ does not match at the very end, its \b counts é.
		if strings.HasSuffix(text, "\n") || strings.ContainsAny(text, "éあ") && strings.Contains(pattern, `\B`) {
			continue
		}
		want := std.FindStringSubmatchIndex(text)
		got, _ := re.Find([]byte(text), nil)
		if !slices.Equal(got, want) {
			t.Fatalf("%q in %q: got %v, want %v", pattern, text, got, want)
		}
		if re.MatchString(text) != (want != nil) {
			t.Fatalf("%q in %q: MatchString says %v", pattern, text, want == nil)
		}
	}
}

// regexp2 finds the same, with look-around, atomic groups and back-references.
func TestAgainstRegexp2(t *testing.T) {
	m := &patternMaker{
		Rand: rand.New(rand.NewPCG(8, 8)), atoms: append(slices.Clone(commonAtoms), `(?=a)`, `(?!b)`, `(?<=a)`, `(?<!b)`, `(?<=.b)`),
		quantifiers: commonQuantifiers,
		group: func(k int, sub string) string {
			return []string{"(", "(?:", "(", "(?>", "(?=", "(?!", "(?>", "("}[k] + sub + ")"
		},
	}
	for range 20000 {
		pattern := m.alternatives(3)
		if strings.HasPrefix(pattern, "(") && m.IntN(4) == 0 {
			pattern = "(.)" + pattern + `\1`
		}
		other, err := regexp2.Compile(pattern, regexp2.Multiline)
		if err != nil {
			t.Fatalf("%q: %v", pattern, err)
		}
		re, err := Compile(pattern)
		if err != nil {
			t.Fatal(err)
		}
		text := m.text()
		if strings.HasSuffix(text, "\n") {
			continue
		}
		want := -1
		length := 0
		if match, err := other.FindStringMatch(text); err != nil {
			t.Fatal(err)
		} else if match != nil {
			want, length = match.ByteRange()
		}
		got, ok := re.Find([]byte(text), nil)
		if ok != (want >= 0) || ok && (got[0] != want || got[1] != want+length) {
			t.Fatalf("%q in %q: got %v, want %d+%d", pattern, text, got, want, length)
		}
	}
}

// Trimming a pattern for Match must not change the answer.
func TestMatchOfTrimmedPatterns(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	parts := []string{"^", "$", ".*", ".*?", ".+", "a", "ab", "[ab]", "(.*)", "(?:a|b)*", `\s*`, `\A`, `\z`, "(?m:.*)", "x?"}
	for range 30000 {
		var pattern, text strings.Builder
		for range 1 + r.IntN(5) {
			pattern.WriteString(parts[r.IntN(len(parts))])
		}
		for range r.IntN(6) {
			text.WriteString([]string{"a", "b", "ab", "\n", " ", "x", "é"}[r.IntN(7)])
		}
		re := MustCompile(pattern.String())
		_, want := re.Find([]byte(text.String()), nil)
		if got := re.MatchString(text.String()); got != want {
			t.Fatalf("%q in %q: Match %v, Find %v", pattern.String(), text.String(), got, want)
		}
	}
}

// A literal pattern finds what strings.Index finds.
func TestLiterals(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 10))
	for range 5000 {
		var text, lit string
		for range r.IntN(20) {
			text += []string{"a", "b", "é", "あ", "\xff"}[r.IntN(5)]
		}
		for range 1 + r.IntN(3) {
			lit += []string{"a", "b", "é", "あ"}[r.IntN(4)]
		}
		want := strings.Index(text, lit)
		caps, ok := MustCompile(lit).Find([]byte(text), nil)
		if ok != (want >= 0) || ok && caps[0] != want {
			t.Fatalf("%q in %q: got %v, want %d", lit, text, caps, want)
		}
		if !utf8.ValidString(lit) {
			t.Fatal("the literal is broken")
		}
	}
}
