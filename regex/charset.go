package regex

import (
	"slices"
	"sort"
	"unicode"
	"unicode/utf8"
)

// A charset is a set of characters, as sorted inclusive ranges that neither overlap nor touch.
//
// Its universe is every Unicode code point, followed by one element for each byte
// from 0x80 to 0xFF that stands alone in a text because it belongs to no valid UTF-8 sequence.
// Onigmo keeps the two apart in the same way: `[^a]` and `.` accept a stray byte, `[é]` and `\p{L}` do not.
type charset []charRange

type charRange struct{ lo, hi rune }

const (
	maxRune = unicode.MaxRune
	// rawBase + b is the element of a charset that stands for the stray byte b.
	rawBase = 0x110000
	rawLo   = rawBase + 0x80
	rawHi   = rawBase + 0xFF
)

// newCharset sorts and merges rs, which it takes over.
func newCharset(rs []charRange) charset {
	sort.Slice(rs, func(i, j int) bool { return rs[i].lo < rs[j].lo })
	out := rs[:0]
	for _, r := range rs {
		if n := len(out); n > 0 && r.lo <= out[n-1].hi+1 {
			out[n-1].hi = max(out[n-1].hi, r.hi)
			continue
		}
		out = append(out, r)
	}
	return charset(out)
}

// charsetOf builds a set from pairs of bounds.
func charsetOf(bounds ...rune) charset {
	rs := make([]charRange, 0, len(bounds)/2)
	for i := 0; i+1 < len(bounds); i += 2 {
		rs = append(rs, charRange{bounds[i], bounds[i+1]})
	}
	return newCharset(rs)
}

// charsetOfTables is the union of tables of the standard library.
func charsetOfTables(tables ...*unicode.RangeTable) charset {
	var rs []charRange
	add := func(lo, hi, stride rune) {
		if stride == 1 {
			rs = append(rs, charRange{lo, hi})
			return
		}
		for r := lo; r <= hi; r += stride {
			rs = append(rs, charRange{r, r})
		}
	}
	for _, t := range tables {
		for _, r := range t.R16 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range t.R32 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
	return newCharset(rs)
}

func (c charset) contains(r rune) bool {
	lo, hi := 0, len(c)
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		switch {
		case r < c[m].lo:
			hi = m
		case r > c[m].hi:
			lo = m + 1
		default:
			return true
		}
	}
	return false
}

func (c charset) union(d charset) charset {
	return newCharset(slices.Concat(c, d))
}

func (c charset) intersect(d charset) charset {
	var out charset
	for i, j := 0, 0; i < len(c) && j < len(d); {
		lo, hi := max(c[i].lo, d[j].lo), min(c[i].hi, d[j].hi)
		if lo <= hi {
			out = append(out, charRange{lo, hi})
		}
		if c[i].hi < d[j].hi {
			i++
		} else {
			j++
		}
	}
	return out
}

// negate is everything that c lacks, stray bytes included.
func (c charset) negate() charset {
	var out charset
	for _, u := range [...]charRange{{0, maxRune}, {rawLo, rawHi}} {
		next := u.lo
		for _, r := range c {
			if r.hi < u.lo || r.lo > u.hi {
				continue
			}
			if r.lo > next {
				out = append(out, charRange{next, r.lo - 1})
			}
			next = r.hi + 1
		}
		if next <= u.hi {
			out = append(out, charRange{next, u.hi})
		}
	}
	return newCharset(out)
}

// negateRunes is every code point that c lacks, without stray bytes.
// `[\D]` is such a set, while `\D` and `[^\d]` accept stray bytes too.
func (c charset) negateRunes() charset {
	return c.negate().intersect(charset{{0, maxRune}})
}

// withLeads adds to a set that has stray bytes but no code points beyond ASCII the characters
// that start with these bytes. Onigmo looks at the first byte only then, so that [\x80-\xFF]
// matches whatever is not ASCII.
func (c charset) withLeads() charset {
	rs := slices.Clone([]charRange(c))
	for _, r := range c {
		if r.hi >= utf8.RuneSelf && r.lo <= maxRune {
			return c
		}
		for b := max(r.lo, rawLo) - rawBase; b <= r.hi-rawBase; b++ {
			switch {
			case b >= 0xC2 && b < 0xE0:
				rs = append(rs, charRange{b & 0x1F << 6, b&0x1F<<6 | 0x3F})
			case b >= 0xE0 && b < 0xF0:
				rs = append(rs, charRange{max(b&0xF<<12, 0x800), b&0xF<<12 | 0xFFF})
			case b >= 0xF0 && b < 0xF5:
				rs = append(rs, charRange{max(b&7<<18, 0x10000), min(b&7<<18|0x3FFFF, maxRune)})
			}
		}
	}
	return newCharset(rs)
}

// single returns the only element of c.
func (c charset) single() (rune, bool) {
	if len(c) == 1 && c[0].lo == c[0].hi {
		return c[0].lo, true
	}
	return 0, false
}

// fold adds the other cases of the members of c. Cases on both sides of the ASCII border,
// such as k and the Kelvin sign, join only if the member was written out and is thus in explicit.
func (c charset) fold(explicit charset) charset {
	rs := slices.Clone([]charRange(c))
	add := func(r rune) {
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			if (r < utf8.RuneSelf) == (f < utf8.RuneSelf) || explicit.contains(r) {
				rs = append(rs, charRange{f, f})
			}
		}
	}
	for _, r := range c {
		if r.hi < utf8.RuneSelf {
			for x := r.lo; x <= r.hi; x++ {
				add(x)
			}
			continue
		}
		for _, cr := range unicode.CaseRanges {
			for x := max(r.lo, rune(cr.Lo)); x <= min(r.hi, rune(cr.Hi)); x++ {
				add(x)
			}
		}
	}
	return newCharset(rs)
}

// A byteSet is a charset made ready for matching: what each first byte of a character means.
type byteSet struct {
	class [256]uint8
	// first is the same for who only wants to know whether a member may start with the byte.
	first [256]bool
	mask  byteMask
	// ranges holds the members that are not ASCII, for bytes of class needsDecoding.
	ranges charset
	// ascii says that every member is one ASCII byte.
	ascii bool
	// decodes says that some byte is of class needsDecoding.
	decodes bool
	// except is the only byte that is no member, if hasExcept; every character that is not ASCII is then a member.
	except    byte
	hasExcept bool
	// count is the number of ASCII members.
	count int
}

// The classes of a first byte.
const (
	notMember     = iota // no member starts with this byte
	memberByte           // the byte is a member
	memberChar           // every character that starts with this byte, and the byte alone, is a member
	needsDecoding        // it depends on the character
)

func newByteSet(c charset) *byteSet {
	s := &byteSet{ranges: c.intersect(charset{{utf8.RuneSelf, rawHi}})}
	for b := range rune(utf8.RuneSelf) {
		if c.contains(b) {
			s.class[b], s.first[b] = memberByte, true
			s.count++
		}
	}
	all := charset{{utf8.RuneSelf, maxRune}, {rawLo, rawHi}}
	switch {
	case len(s.ranges) == 0:
		s.ascii = true
	case slices.Equal(s.ranges, all):
		for b := utf8.RuneSelf; b < 256; b++ {
			s.class[b], s.first[b] = memberChar, true
		}
		if s.count == utf8.RuneSelf-1 {
			s.except, s.hasExcept = byte(slices.Index(s.class[:], notMember)), true
		}
	default:
		s.decodes = true
		s.markLeads()
	}
	for b, in := range s.first {
		if in {
			s.mask.add(byte(b))
		}
	}
	return s
}

// markLeads marks the bytes a member of s.ranges can start with.
func (s *byteSet) markLeads() {
	mark := func(b byte) { s.class[b], s.first[b] = needsDecoding, true }
	for _, r := range s.ranges {
		if r.lo >= rawBase {
			for x := max(r.lo, rawLo); x <= r.hi; x++ {
				mark(byte(x - rawBase))
			}
			continue
		}
		lo, hi := leadByte(r.lo), leadByte(min(r.hi, maxRune))
		for b := int(lo); b <= int(hi); b++ {
			mark(byte(b))
		}
		// A text that ends inside a character counts as the code point of its first byte.
		for x := r.lo; x <= min(r.hi, 0xFF); x++ {
			mark(byte(x))
		}
		if r.hi >= rawBase {
			for x := rune(rawLo); x <= r.hi; x++ {
				mark(byte(x - rawBase))
			}
		}
	}
}

// leadByte is the first byte of the UTF-8 form of r, which is not ASCII.
func leadByte(r rune) byte {
	switch {
	case r < 0x800:
		return byte(0xC0 | r>>6)
	case r < 0x10000:
		return byte(0xE0 | r>>12)
	}
	return byte(0xF0 | r>>18)
}

// step returns the length of the character at text[pos:] if it is a member, else 0.
// The caller has checked that pos is inside text.
func (s *byteSet) step(text []byte, pos int) int {
	switch s.class[text[pos]] {
	case memberByte:
		return 1
	case memberChar:
		return charLen(text, pos)
	case needsDecoding:
		if r, n := decodeChar(text, pos); s.ranges.contains(r) {
			return n
		}
	}
	return 0
}

// decodeChar reads the character at s[pos], where pos < len(s), as Onigmo does:
// a byte that starts no valid sequence is an element of its own,
// and a sequence cut off by the end of the text is one character with the value of its first byte.
func decodeChar(s []byte, pos int) (rune, int) {
	b := s[pos]
	if b < utf8.RuneSelf {
		return rune(b), 1
	}
	r, n := utf8.DecodeRune(s[pos:])
	if r == utf8.RuneError && n == 1 {
		if rest := len(s) - pos; rest > 1 && rest < utf8.UTFMax && !utf8.FullRune(s[pos:]) {
			return rune(b), rest
		}
		return rawBase + rune(b), 1
	}
	return r, n
}

// charLen is the length of the character at s[pos], where pos < len(s).
func charLen(s []byte, pos int) int {
	if s[pos] < 0xC0 {
		return 1
	}
	_, n := decodeChar(s, pos)
	return n
}

// prevChar is where the character before s[pos] starts, but not before low; low < pos.
func prevChar(s []byte, low, pos int) int {
	if s[pos-1] < utf8.RuneSelf {
		return pos - 1
	}
	for p := pos - 2; p >= low && p >= pos-utf8.UTFMax; p-- {
		if s[p]&0xC0 == 0x80 {
			continue
		}
		if s[p] >= 0xC0 && p+charLen(s, p) == pos {
			return p
		}
		break
	}
	return pos - 1
}

// isBoundary reports whether no character of s reaches over pos.
func isBoundary(s []byte, pos int) bool {
	if pos >= len(s) || s[pos]&0xC0 != 0x80 {
		return true
	}
	for p := pos - 1; p >= 0 && p > pos-utf8.UTFMax; p-- {
		if s[p]&0xC0 == 0x80 {
			continue
		}
		return s[p] < 0xC0 || p+charLen(s, p) <= pos
	}
	return true
}

// stepBack goes n characters back from pos as Onigmo's look-behind does:
// every byte 10xxxxxx belongs to what stands before it. It returns -1 if the text starts earlier.
func stepBack(s []byte, pos, n int) int {
	for ; n > 0; n-- {
		if pos == 0 {
			return -1
		}
		pos--
		for pos > 0 && s[pos]&0xC0 == 0x80 {
			pos--
		}
	}
	return pos
}
