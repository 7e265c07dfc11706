package event

import (
	"math"
	"math/bits"
	"strconv"
	"unsafe"
)

// appendJSONNumber transcodes the number at offset i.
func appendJSONNumber(out, src []byte, i int) ([]byte, int, jsonFault) {
	start := i
	neg := src[i] == '-'
	if neg {
		i++
	}
	// mant holds all digits seen, without the dot, as long as there are no
	// more than 19 of them behind the leading zeros.
	var mant uint64
	first := i
	for i < len(src) && isDigit(src[i]) {
		mant = mant*10 + uint64(src[i]-'0')
		i++
	}
	digits := i - first
	if digits == 0 {
		return out, i, numberFault(src, i)
	}
	if src[first] == '0' && digits > 1 {
		return out, first, faultLeadingZero
	}
	if i >= len(src) || src[i] != '.' && src[i]|0x20 != 'e' {
		if digits > 19 {
			out, ok := appendBigInteger(out, src[start:i])
			if !ok {
				return out, start, faultRange
			}
			return out, i, faultNone
		}
		if !neg {
			return AppendUint(out, mant), i, faultNone
		}
		if mant > 1<<63 {
			return AppendFloat(out, -float64(mant)), i, faultNone
		}
		return AppendInt(out, -int64(mant)), i, faultNone // Two's complement: also for 1<<63.
	}
	exp := 0
	if src[i] == '.' {
		i++
		frac := i
		for i < len(src) && isDigit(src[i]) {
			mant = mant*10 + uint64(src[i]-'0')
			i++
		}
		if i == frac {
			return out, i, numberFault(src, i)
		}
		exp = frac - i
		if digits += i - frac; digits > 19 && src[first] == '0' {
			for j := frac; j < i && src[j] == '0'; j++ {
				digits--
			}
			digits--
		}
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		i++
		negExp := false
		if i < len(src) && (src[i] == '-' || src[i] == '+') {
			negExp = src[i] == '-'
			i++
		}
		from := i
		e := 0
		for i < len(src) && isDigit(src[i]) {
			if e < 10000 { // More is infinite, or zero, anyway.
				e = e*10 + int(src[i]-'0')
			}
			i++
		}
		if i == from {
			return out, i, numberFault(src, i)
		}
		if negExp {
			e = -e
		}
		exp += e
	}
	if digits <= 19 && mant < 1<<53 && exp >= -22 && exp <= 22 {
		// Both are exact as float64, so the result is rounded once and right
		// (W. Clinger, How to Read Floating Point Numbers Accurately).
		f := float64(mant)
		if exp < 0 {
			f /= pow10[-exp]
		} else {
			f *= pow10[exp]
		}
		if neg {
			f = -f
		}
		return AppendFloat(out, f), i, faultNone
	}
	f, err := strconv.ParseFloat(unsafe.String(&src[start], i-start), 64)
	if err != nil {
		return out, start, faultRange
	}
	return AppendFloat(out, f), i, faultNone
}

// numberFault is what is wrong when there is no digit at offset i.
func numberFault(src []byte, i int) jsonFault {
	if i >= len(src) {
		return faultEOF
	}
	return faultNumber
}

var pow10 = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// appendBigInteger appends an integer of any number of digits: as a float64 if
// it does not fit an int64 or a uint64. Beyond the range of float64 it appends
// an infinity and returns false.
func appendBigInteger(out, text []byte) ([]byte, bool) {
	neg := text[0] == '-'
	var n uint64
	fits := true
	for _, c := range text {
		if c == '-' {
			continue
		}
		hi, lo := bits.Mul64(n, 10)
		sum, carry := bits.Add64(lo, uint64(c-'0'), 0)
		if hi|carry != 0 {
			fits = false
			break
		}
		n = sum
	}
	switch {
	case fits && !neg:
		return AppendUint(out, n), true
	case fits && n <= 1<<63:
		return AppendInt(out, -int64(n)), true
	}
	f, err := strconv.ParseFloat(unsafe.String(&text[0], len(text)), 64)
	return AppendFloat(out, f), err == nil
}

// appendLooseWord transcodes what starts like a number or a literal at offset
// i, the way Fluent Bit's tokenizer for streams does: it reaches to the next
// white space, comma or closing bracket; of a literal only the first letter
// counts, and of a number what the C library can make of its beginning.
func appendLooseWord(out, src []byte, i int) ([]byte, int, jsonFault) {
	start := i
	for ; ; i++ {
		if i >= len(src) {
			return out, i, faultEOF
		}
		c := src[i]
		if c == ',' || c == ']' || c == '}' || isJSONSpace(c) {
			break
		}
		if c < ' ' || c >= 0x7f {
			return out, i, faultLiteral
		}
	}
	switch src[start] {
	case 't':
		return append(out, 0xc3), i, faultNone
	case 'f':
		return append(out, 0xc2), i, faultNone
	case 'n':
		return append(out, 0xc0), i, faultNone
	}
	word := src[start:i]
	if out, end, fault := appendJSONNumber(out, word, 0); fault == faultNone && end == len(word) {
		return out, i, faultNone
	}
	return appendLooseNumber(out, word), i, faultNone
}

// appendLooseNumber appends what strtod, or for words without a fraction or an
// exponent strtoll, makes of word.
func appendLooseNumber(out, word []byte) []byte {
	p := 0
	if word[0] == '-' {
		p++
	}
	from := p
	for p < len(word) && isDigit(word[p]) {
		p++
	}
	digits := p - from
	float := false
	for j, c := range word {
		if c == '.' || c|0x20 == 'e' && j+1 < len(word) && (word[j+1] == '-' || word[j+1] == '+' || isDigit(word[j+1])) {
			float = true
		}
	}
	if !float {
		if digits == 0 {
			return AppendInt(out, 0)
		}
		out, _ = appendBigInteger(out, word[:p])
		return out
	}
	if p < len(word) && word[p] == '.' {
		frac := p + 1
		for p = frac; p < len(word) && isDigit(word[p]); p++ {
			digits++
		}
	}
	if digits == 0 {
		return AppendFloat(out, 0)
	}
	if p < len(word) && word[p]|0x20 == 'e' {
		q := p + 1
		if q < len(word) && (word[q] == '-' || word[q] == '+') {
			q++
		}
		if q < len(word) && isDigit(word[q]) {
			for p = q; p < len(word) && isDigit(word[p]); p++ {
			}
		}
	}
	f, err := strconv.ParseFloat(unsafe.String(&word[0], p), 64)
	if err != nil && !math.IsInf(f, 0) {
		f = 0
	}
	return AppendFloat(out, f)
}
