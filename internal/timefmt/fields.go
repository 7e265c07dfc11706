package timefmt

import (
	"bytes"
	"encoding/binary"
	"math"
)

// number reads a number from lo to hi. It stops before a digit that would make
// the number larger than hi whatever the digit is, and after as many digits as
// hi has.
func number(b []byte, i, lo, hi int) (v, next int, ok bool) {
	if i >= len(b) || !isDigit(b[i]) {
		return 0, i, false
	}
	for limit := hi; ; {
		v = v*10 + int(b[i]-'0')
		i++
		limit /= 10
		if v*10 > hi || limit == 0 || i >= len(b) || !isDigit(b[i]) {
			break
		}
	}
	return v, i, lo <= v && v <= hi
}

// fastDate reads ten bytes of the form 2006-01-02 if b begins so.
func fastDate(b []byte, c *clock, p *part) bool {
	if len(b) < len("2006-01-02") {
		return false
	}
	v, ok1 := eightDigits(binary.LittleEndian.Uint64(b)^0x2d30302d_30303030, 0xff0000ff_00000000)
	mon := lanePair(v, 40)
	day, ok2 := twoDigits(b[8], b[9])
	if !ok1 || !ok2 || mon < 1 || mon > 12 || day < 1 || day > 31 {
		return false
	}
	c.year, c.mon, c.mday = lanePair(v, 0)*100+lanePair(v, 16), mon-1, day
	p.year2 = -1
	p.has |= hasYear | hasMonth | hasDay
	return true
}

// fastTime reads eight bytes of the form 15:04:05 if b begins so.
func fastTime(b []byte, c *clock) bool {
	if len(b) < len("15:04:05") {
		return false
	}
	v, ok := eightDigits(binary.LittleEndian.Uint64(b)^0x30303a30_303a3030, 0x0000ff00_00ff0000)
	hour, min, sec := lanePair(v, 0), lanePair(v, 24), lanePair(v, 48)
	if !ok || hour > 23 || min > 59 || sec > 60 {
		return false
	}
	c.hour, c.min, c.sec = hour, min, sec
	return true
}

// eightDigits checks eight bytes that were combined with what is expected by an
// exclusive or, the first in the lowest byte: digits are 0 to 9 then, and the
// separators that the mask selects are 0.
func eightDigits(v, separators uint64) (uint64, bool) {
	const high, six = 0xf0f0f0f0_f0f0f0f0, 0x06060606_06060606
	return v, (v|(v+six))&high == 0 && v&separators == 0
}

// lanePair returns the number that two digits of eightDigits form.
func lanePair(v uint64, shift uint) int {
	return int(v>>shift&0xf)*10 + int(v>>(shift+8)&0xf)
}

// readFraction reads one to nine digits as a fraction of a second. Fluent Bit
// keeps it as a float64, and so must we to yield the same nanoseconds.
func readFraction(b []byte, i int) (fraction float64, next int, ok bool) {
	digits, scale := 0, 1
	for ; i < len(b) && isDigit(b[i]) && scale < nsPerSecond; i++ {
		digits = digits*10 + int(b[i]-'0')
		scale *= 10
	}
	return float64(digits) / float64(scale), i, scale > 1
}

// epoch reads %s.
func epoch(b []byte, i int, c *clock, p *part) (next int, ok bool) {
	const tooLong = math.MaxInt64 / 10
	v := int64(0)
	start := i
	for ; i < len(b) && isDigit(b[i]); i++ {
		if v = v*10 + int64(b[i]-'0'); v >= tooLong {
			return i, false
		}
	}
	days, sec := v/secondsPerDay, v%secondsPerDay
	// Beyond EventTime any day is out of range alike, so that years stay small.
	c.year, c.mon, c.mday = civilDate(int(min(days, 2*maxSeconds/secondsPerDay)))
	c.hour, c.min, c.sec = int(sec/3600), int(sec/60%60), int(sec%60)
	c.offset = 0
	p.has = hasYear | hasMonth | hasDay | hasYearDay
	return i, i > start
}

// halfDay reads %p. It changes the hour read before it.
func halfDay(b []byte, i int, c *clock) (next int, ok bool) {
	if len(b)-i < 2 || b[i+1]|0x20 != 'm' || c.hour > 12 {
		return i, false
	}
	switch b[i] | 0x20 {
	case 'a':
		if c.hour == 12 {
			c.hour = 0
		}
	case 'p':
		if c.hour < 12 {
			c.hour += 12
		}
	default:
		return i, false
	}
	return i + 2, true
}

var (
	monthNames = [12]string{"January", "February", "March", "April", "May", "June",
		"July", "August", "September", "October", "November", "December"}
	weekdayNames = [7]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
)

// name reads one of the names in full or its first three letters, in any case.
func name(b []byte, i int, names []string) (index, next int, ok bool) {
	if len(b)-i < 3 {
		return 0, i, false
	}
	x, y, z := b[i]|0x20, b[i+1]|0x20, b[i+2]|0x20
	for k, s := range names {
		if s[0]|0x20 != x || s[1] != y || s[2] != z {
			continue
		}
		if hasPrefixFold(b[i:], s) {
			return k, i + len(s), true
		}
		return k, i + 3, true
	}
	return 0, i, false
}

// hasPrefixFold reports whether b begins with s, in any case of its letters.
func hasPrefixFold(b []byte, s string) bool {
	if len(b) < len(s) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// zoneOffset reads %z: ISO 8601 offsets and the zone names of RFC 822.
func zoneOffset(b []byte, i int, c *clock) (next int, ok bool) {
	if i = skipSpaces(b, i); i >= len(b) {
		return i, false
	}
	sign := 1
	switch b[i] {
	case 'Z':
		c.offset = 0
		return i + 1, true
	case 'U':
		if len(b)-i < 2 || b[i+1] != 'T' {
			return i, false
		}
		i += 2
		if i < len(b) && b[i] == 'C' {
			i++
		}
		c.offset = 0
		return i, true
	case 'G':
		if len(b)-i < 3 || b[i+1] != 'M' || b[i+2] != 'T' {
			return i, false
		}
		c.offset = 0
		return i + 3, true
	case '+':
	case '-':
		sign = -1
	default:
		return americanZone(b, i, c)
	}
	i++
	if len(b)-i < 2 {
		return i, false
	}
	hours, ok := twoDigits(b[i], b[i+1])
	if !ok {
		return i, false
	}
	i += 2
	if i < len(b) && b[i] == ':' {
		i++
	}
	minutes := 0
	if i < len(b) && isDigit(b[i]) {
		if len(b)-i < 2 {
			return i, false
		}
		if minutes, ok = twoDigits(b[i], b[i+1]); !ok {
			return i, false
		}
		i += 2
	}
	c.offset = sign * (hours*3600 + minutes*60)
	return i, true
}

// americanZone reads EST, EDT and so on to PDT, in any case.
func americanZone(b []byte, i int, c *clock) (next int, ok bool) {
	if len(b)-i < 3 || lower(b[i+2]) != 't' {
		return i, false
	}
	hours := 0
	switch lower(b[i]) {
	case 'e':
		hours = -5
	case 'c':
		hours = -6
	case 'm':
		hours = -7
	case 'p':
		hours = -8
	default:
		return i, false
	}
	switch lower(b[i+1]) {
	case 's':
	case 'd':
		hours++
	default:
		return i, false
	}
	c.offset = hours * 3600
	return i + 3, true
}

// zoneName reads %Z.
func (l *Layout) zoneName(b []byte, i int, c *clock) (next int, ok bool) {
	if offset, n, ok := namedZone(b[i:]); ok {
		c.offset = offset
		return i + n, true
	}
	rest := b[i:]
	switch {
	case bytes.HasPrefix(rest, []byte("GMT")), bytes.HasPrefix(rest, []byte("UTC")):
		c.offset = 0
		return i + 3, true
	case hasPrefixFold(rest, l.standard):
		c.offset = l.standardOffset
		return i + len(l.standard), true
	case hasPrefixFold(rest, l.daylight):
		// tzset(3) has one offset only, and Fluent Bit uses it for both names.
		c.offset = l.standardOffset
		return i + len(l.daylight), true
	}
	return i, false
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

func skipSpaces(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}
