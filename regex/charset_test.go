package regex

import (
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

// members lists what is interesting to ask a set about: the borders of everything.
var members = func() []rune {
	var out []rune
	for _, c := range []rune{0, 'a', 'z', 0x7F, 0x80, 0xE9, 0xFF, 0x100, 0x7FF, 0x800, 0x2028, 0xD7FF, 0xE000, 0xFFFF, 0x10000, maxRune} {
		out = append(out, max(0, c-1), c, min(maxRune, c+1))
	}
	for b := rune(rawLo); b <= rawHi; b++ {
		out = append(out, b)
	}
	return out
}()

func randomCharset(r *rand.Rand) charset {
	var rs []charRange
	for range r.IntN(4) {
		lo := members[r.IntN(len(members))]
		hi := members[r.IntN(len(members))]
		if lo > hi {
			lo, hi = hi, lo
		}
		if hi >= rawBase && lo < rawBase {
			hi = maxRune
		}
		rs = append(rs, charRange{lo, hi})
	}
	return newCharset(rs)
}

func TestCharsetOperations(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		a, b := randomCharset(r), randomCharset(r)
		union, both, not := a.union(b), a.intersect(b), a.negate()
		notRunes := a.negateRunes()
		for _, c := range members {
			inA, inB := a.contains(c), b.contains(c)
			if union.contains(c) != (inA || inB) || both.contains(c) != (inA && inB) || not.contains(c) == inA ||
				notRunes.contains(c) != (!inA && c <= maxRune) {
				t.Fatalf("%#x in %v (%v) and %v (%v): union %v, intersection %v, negation %v, of runes %v", c, a, inA, b, inB,
					union.contains(c), both.contains(c), not.contains(c), notRunes.contains(c))
			}
		}
	}
}

// A set made ready for matching steps over exactly the characters it has.
func TestByteSetStep(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 2000 {
		c := randomCharset(r)
		set := newByteSet(c)
		for _, m := range members {
			text := []byte{byte(m - rawBase)}
			if m <= maxRune {
				if m >= 0xD800 && m < 0xE000 {
					continue
				}
				text = utf8.AppendRune(nil, m)
			}
			want := 0
			if c.contains(m) {
				want = len(text)
			}
			if got := set.step(append(text, ' '), 0); got != want {
				t.Fatalf("%v: step over %#x is %d, want %d", c, m, got, want)
			}
			if want > 0 && !set.first[text[0]] {
				t.Fatalf("%v: no member starts with %#x", c, text[0])
			}
		}
	}
}

// Going back over a text stops where going forward did, whatever bytes it has.
func TestCharacterBorders(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	parts := []string{"a", "é", "あ", "𝄞", "\x80", "\xC3", "\xE3", "\xE3\x81", "\xF0\x9D", "\xF0\x9D\x84", "\xED\xA0\x80", "\xC0\xAF", "\xF4\x90", "\xFF"}
	for range 5000 {
		var s []byte
		for range r.IntN(8) {
			s = append(s, parts[r.IntN(len(parts))]...)
		}
		border := make([]bool, len(s)+1)
		prev := make([]int, len(s)+1)
		border[0] = true
		for pos := 0; pos < len(s); {
			next := pos + charLen(s, pos)
			if _, n := decodeChar(s, pos); pos+n != next {
				t.Fatalf("%q at %d: decodeChar says %d bytes, charLen %d", s, pos, n, next-pos)
			}
			border[next], prev[next] = true, pos
			pos = next
		}
		for pos := 1; pos <= len(s); pos++ {
			if isBoundary(s, pos) != border[pos] {
				t.Fatalf("isBoundary(%q, %d) = %v", s, pos, !border[pos])
			}
			if border[pos] {
				if got := prevChar(s, 0, pos); got != prev[pos] {
					t.Fatalf("prevChar(%q, %d) = %d, want %d", s, pos, got, prev[pos])
				}
			}
		}
	}
}

func TestProperties(t *testing.T) {
	f := func(name, in, out string) {
		t.Helper()
		set, ok := propertySet(name)
		if !ok {
			t.Errorf("no property %q", name)
			return
		}
		for _, c := range in {
			if !set.contains(c) {
				t.Errorf("%U is not in %s", c, name)
			}
		}
		for _, c := range out {
			if set.contains(c) {
				t.Errorf("%U is in %s", c, name)
			}
		}
	}
	f("L", "aé漢ʰ", "1 _")
	f("Uppercase_Letter", "AÉ", "aé")
	f("upper case-letter", "A", "a")
	f("alnum", "a1é٣", "_ ")
	f("Punct", "!-_", "$+")
	f("XPosixPunct", "!-_$+", "a")
	f("Space", " \t\u00A0\u2028", "a")
	f("Graph", "a!é", " \n\u0378")
	f("Print", "a é", "\n")
	f("Cntrl", "\x01\x7F", "a")
	f("Word", "a_1é", "-")
	f("Any", "a\u0378", "")
	f("Assigned", "a", "\u0378")
	f("Cn", "\u0378", "a")
	f("C", "\u0378\x01", "a")
	f("LC", "aAǅ", "ʰ")
	f("Han", "漢", "あ")
	f("Hira", "あ", "漢")
	f("Unknown", "\u0378", "a")
	f("White_Space", " \u3000", "a")
	f("Cased", "aAǅ", "漢")
	f("Math", "+∑", "a")
	f("Grapheme_Extend", "\u0301", "a")
	f("Extended_Pictographic", "😀©", "a1")
	for _, name := range []string{"", "Klingon", "InBasicLatin", "é"} {
		if _, ok := propertySet(name); ok {
			t.Errorf("there is a property %q", name)
		}
	}
}
