package regex

import "bytes"

// runEnd is where the run of members of an instByteRun instruction that starts at pos ends.
func (set *byteSet) runEnd(s []byte, pos, limit int) int {
	if set.hasExcept {
		if i := bytes.IndexByte(s[pos:limit], set.except); i >= 0 {
			return pos + i
		}
		return limit
	}
	for pos < limit && set.first[s[pos]] {
		pos++
	}
	return pos
}

// charRun is runEnd for sets whose members must be counted or decoded.
// It returns where the run ends and where low members end, or -1 if there are fewer.
func (set *byteSet) charRun(s []byte, pos, low, high int) (end, lowEnd int) {
	lowEnd = -1
	for count := 0; ; count++ {
		if count == low {
			lowEnd = pos
		}
		if count == high || pos >= len(s) {
			return pos, lowEnd
		}
		n := set.step(s, pos)
		if n == 0 {
			return pos, lowEnd
		}
		pos += n
	}
}

// giveBack is the last position from high down to low at which next can follow
// and which is not inside a character, or -1.
func giveBack(s []byte, set *byteSet, next *follow, low, high int) int {
	if next == nil {
		return high
	}
	p := high
	if p == len(s) {
		if next.end {
			return p
		}
		if p == low {
			return -1
		}
		if p--; next.inside {
			p = prevChar(s, low, p+1)
		}
	}
	switch {
	case next.hasOnly && !next.inside:
		if i := bytes.LastIndexByte(s[low:p+1], next.only); i >= 0 {
			return low + i
		}
		return -1
	case set.ascii || !next.inside:
		for ; p >= low; p-- {
			if next.bytes[s[p]] {
				return p
			}
		}
		return -1
	}
	for !next.bytes[s[p]] {
		if p <= low {
			return -1
		}
		p = prevChar(s, low, p)
	}
	return p
}

// takeMore is the first position from pos on at which next can follow and up to which everything is a member
// of set, or -1. It does not go beyond limit.
func takeMore(s []byte, set *byteSet, next *follow, pos, limit int) int {
	if next == nil {
		return pos
	}
	if next.hasOnly && set.hasExcept && next.only < 0x80 {
		i := bytes.IndexByte(s[pos:], next.only)
		if i < 0 || pos+i > limit || bytes.IndexByte(s[pos:pos+i], set.except) >= 0 {
			return -1
		}
		return pos + i
	}
	for !next.allows(s, pos) {
		if pos >= limit {
			return -1
		}
		n := set.step(s, pos)
		if n == 0 {
			return -1
		}
		pos += n
	}
	return pos
}

// atBoundary reports whether exactly one of the characters around pos is a word character.
func atBoundary(s []byte, pos int, ascii bool) bool {
	return wordBefore(s, pos, ascii) != wordAt(s, pos, ascii)
}

func wordAt(s []byte, pos int, ascii bool) bool {
	switch {
	case pos >= len(s):
		return false
	case s[pos] < 0x80:
		return isASCIIWord(s[pos])
	case ascii:
		return false
	}
	r, _ := decodeChar(s, pos)
	return isWord(r)
}

func wordBefore(s []byte, pos int, ascii bool) bool {
	if pos == 0 {
		return false
	}
	return wordAt(s, prevChar(s, 0, pos), ascii)
}
