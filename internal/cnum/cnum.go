// Package cnum reads numbers out of text the way the C library does: what
// stands behind a number does no harm, and text without one counts as 0.
// Fluent Bit compares and converts fields with these functions, so that
// configurations rely on them.
package cnum

import (
	"math"
	"strconv"
	"unsafe"
)

// Float reads the number at the start of b as strtod(3) does: white space, a
// sign, and decimal or hexadecimal digits, inf or nan. n is how many bytes it
// took, 0 if there is no number. A number that is too large is an infinity.
func Float(b []byte) (f float64, n int) {
	rest, negative := Sign(b)
	start := len(b) - len(rest)
	switch {
	case HasPrefixFold(rest, "inf"):
		f, n = math.Inf(1), start+len("inf")
		if HasPrefixFold(rest, "infinity") {
			n = start + len("infinity")
		}
	case HasPrefixFold(rest, "nan"):
		f, n = math.NaN(), start+len("nan")
	default:
		size, exponent := floatLen(rest)
		if size == 0 {
			return 0, 0
		}
		text := unsafe.String(unsafe.SliceData(rest), size)
		if !exponent {
			text += "p0"
		}
		// An error is one of range, with the infinity that strtod has too.
		f, _ = strconv.ParseFloat(text, 64)
		n = start + size
	}
	if negative {
		return -f, n
	}
	return f, n
}

// Int reads the decimal integer at the start of b as strtoll(3) does, and how
// many bytes it took, 0 if there is none. fits is false if the number does not
// fit; i is then the closest that does.
func Int(b []byte) (i int64, n int, fits bool) {
	rest, negative := Sign(b)
	limit := uint64(math.MaxInt64)
	if negative {
		limit++
	}
	var sum uint64
	fits = true
	digits := 0
	for digits < len(rest) && isDigit(rest[digits]) {
		c := uint64(rest[digits] - '0')
		if sum > (limit-c)/10 {
			sum, fits = limit, false
		} else if fits {
			sum = sum*10 + c
		}
		digits++
	}
	if digits == 0 {
		return 0, 0, true
	}
	n = len(b) - len(rest) + digits
	if negative {
		return -int64(sum), n, fits
	}
	return int64(sum), n, fits
}

// Sign skips white space and a sign, as the functions of C do, and tells whether
// that was a minus.
func Sign(b []byte) (rest []byte, negative bool) {
	for len(b) > 0 && (b[0] == ' ' || b[0] >= '\t' && b[0] <= '\r') {
		b = b[1:]
	}
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		return b[1:], b[0] == '-'
	}
	return b, false
}

// HasPrefixFold tells whether b begins with lower, which is in lower-case letters,
// in whatever case.
func HasPrefixFold(b []byte, lower string) bool {
	if len(b) < len(lower) {
		return false
	}
	for i := range len(lower) {
		if b[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func isHexDigit(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// floatLen returns how many bytes at the start of b are a number without sign.
// The number lacks an exponent that ParseFloat needs if exponent is not set.
func floatLen(b []byte) (n int, exponent bool) {
	if len(b) > 2 && b[0] == '0' && b[1]|0x20 == 'x' {
		if end, digits := digitsEnd(b, 2, isHexDigit); digits > 0 {
			n := exponentEnd(b, end, 'p')
			return n, n > end
		}
	}
	end, digits := digitsEnd(b, 0, isDigit)
	if digits == 0 {
		return 0, true
	}
	return exponentEnd(b, end, 'e'), true
}

// digitsEnd returns where the digits at b[i:], with or without a point, end,
// and how many there are.
func digitsEnd(b []byte, i int, isDigit func(byte) bool) (end, digits int) {
	for ; i < len(b) && isDigit(b[i]); i++ {
		digits++
	}
	if i < len(b) && b[i] == '.' {
		for i++; i < len(b) && isDigit(b[i]); i++ {
			digits++
		}
	}
	return i, digits
}

// exponentEnd returns where the exponent at b[i:] ends, or i if there is none.
func exponentEnd(b []byte, i int, mark byte) int {
	if i >= len(b) || b[i]|0x20 != mark {
		return i
	}
	j := i + 1
	if j < len(b) && (b[j] == '+' || b[j] == '-') {
		j++
	}
	start := j
	for j < len(b) && isDigit(b[j]) {
		j++
	}
	if j == start {
		return i
	}
	return j
}
