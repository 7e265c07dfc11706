package regex

import (
	"slices"
	"unicode"
)

// backref matches again what one of the groups of in matched, the first that is set and fits.
// It returns where that ends, or -1.
func backref(st []frame, caps []int, in *instruction, s []byte, pos int) int {
	fold := in.bits&instFold != 0
	if in.bits&instLevel != 0 {
		from, to, ok := onLevel(st, in)
		if !ok {
			return -1
		}
		return sameText(s, from, to, pos, fold)
	}
	for _, g := range in.groups {
		from, to := caps[2*g], caps[2*g+1]
		if from < 0 || to < 0 {
			continue
		}
		if end := sameText(s, from, to, pos, fold); end >= 0 {
			return end
		}
	}
	return -1
}

// onLevel finds the group in the history, on the recursion level that in names relative to the present one.
func onLevel(st []frame, in *instruction) (from, to int, ok bool) {
	level := int32(0)
	to = -1
	for i := len(st) - 1; i >= 0; i-- {
		switch f := &st[i]; {
		case f.kind() == frameCall:
			level--
		case f.kind() == frameReturn:
			level++
		case f.kind() != frameGroup || level != in.n || !slices.Contains(in.groups, int32(f.n())):
		case f.pc < 0:
			to = int(^f.pc)
		case to >= 0:
			return int(f.pc), to, true
		}
	}
	return 0, 0, false
}

// sameText compares s[from:to] with what starts at pos and returns where that ends, or -1.
func sameText(s []byte, from, to, pos int, fold bool) int {
	if !fold {
		if n := to - from; len(s)-pos < n || string(s[from:to]) != string(s[pos:pos+n]) {
			return -1
		}
		return pos + to - from
	}
	for from < to {
		if pos >= len(s) {
			return -1
		}
		a, n := decodeChar(s, from)
		b, k := decodeChar(s, pos)
		if a != b && !sameFold(a, b) {
			return -1
		}
		from += n
		pos += k
	}
	return pos
}

// sameFold reports whether a and b differ in case only.
func sameFold(a, b rune) bool {
	if a > maxRune || b > maxRune {
		return false
	}
	for f := unicode.SimpleFold(a); f != a; f = unicode.SimpleFold(f) {
		if f == b {
			return true
		}
	}
	return false
}
