package timefmt

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Extensions are conversions beyond strftime(3) that some outputs know.
type Extensions struct {
	// Fraction is how many digits of the second's fraction %L writes, from 1 to
	// 9. Fluent Bit's Kinesis and Firehose outputs write 9, the separate Go
	// plugins of AWS 3. With 0, %L is no conversion and stays as it is.
	Fraction int
	// N makes %3N, %6N and %9N write that many digits of the fraction.
	N bool
}

// Format is a compiled strftime layout. It is immutable.
type Format struct {
	text  string
	items []item
	size  int // a guess at the length of the result
}

// item is one conversion, or literal text when the letter is 0.
type item struct {
	letter byte
	text   string // literal text; the conversion itself if the letter is unknown
	pad    byte   // '0', ' ' or '-', which stands for none; 0 for the usual one
	width  int    // the least width, 0 for the usual one; the digits of fraction
	upper  bool   // the flag ^
	swap   bool   // the flag #
}

// Letters that are no conversions of strftime(3).
const (
	fraction = 'L' // digits of the second's fraction
	unknown  = '?' // text that looks like a conversion; it is written as it is
)

// maxWidth limits what a width in a layout can make a result grow by.
const maxWidth = 1024

// CompileFormat prepares a layout of strftime(3), as the GNU C library has it in
// the C locale: all its conversions, the flags _, -, 0, ^ and #, a width, and the
// modifiers E and O, which change nothing. Anything else stays in the result as
// it is. The error is for a width over 1024 and for impossible extensions.
func CompileFormat(layout string, x Extensions) (*Format, error) {
	if x.Fraction < 0 || x.Fraction > 9 {
		return nil, fmt.Errorf("compile time format %q: %d digits of a fraction, want 0 to 9", layout, x.Fraction)
	}
	f := &Format{text: layout, size: len(layout) + 16}
	var literal []byte
	flush := func() {
		if len(literal) > 0 {
			f.items = append(f.items, item{text: string(literal)})
			literal = literal[:0]
		}
	}
	for i := 0; i < len(layout); {
		if layout[i] != '%' {
			literal = append(literal, layout[i])
			i++
			continue
		}
		it, n := readItem(layout[i:], x)
		if it.width > maxWidth {
			return nil, fmt.Errorf("compile time format %q: a width of %d is over %d", layout, it.width, maxWidth)
		}
		flush()
		f.items = append(f.items, it)
		f.size += 8 + it.width
		i += n
	}
	flush()
	return f, nil
}

// readItem reads a conversion at the start of s, which begins with %, and
// returns its length.
func readItem(s string, x Extensions) (it item, n int) {
	n = 1
flags:
	for ; n < len(s); n++ {
		switch s[n] {
		case '_':
			it.pad = ' '
		case '-', '0':
			it.pad = s[n]
		case '^':
			it.upper = true
		case '#':
			it.swap = true
		default:
			break flags
		}
	}
	for ; n < len(s) && isDigit(s[n]); n++ {
		it.width = min(it.width*10+int(s[n]-'0'), maxWidth+1)
	}
	legal := strftimeLetters
	if n < len(s) && s[n] == 'E' {
		legal = strftimeE
		n++
	} else if n < len(s) && s[n] == 'O' {
		legal = strftimeO
		n++
	}
	it.letter = unknown
	if n < len(s) {
		c := s[n]
		n++
		switch {
		case c == 'L' && n == 2 && x.Fraction > 0:
			it.letter, it.width = fraction, x.Fraction
		case c == 'N' && n == 3 && x.N && (it.width == 3 || it.width == 6 || it.width == 9):
			it.letter = fraction
		case strings.IndexByte(legal, c) >= 0:
			it.letter = c
		}
	}
	it.text = s[:n]
	return it, n
}

// The conversions of strftime(3), and those that may have a modifier.
const (
	strftimeLetters = "%aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ"
	strftimeE       = "cCnpPrRstTuxXyYzZ"
	strftimeO       = "bBCdegGhHIjklmMnpPrRsStTuUVwWyzZ"
)

// String returns the text of the format.
func (f *Format) String() string { return f.text }

// Append appends the time ns, nanoseconds since 1970, in loc. nil means UTC.
// It allocates nothing if dst has room, except for zones other than UTC in which
// the standard library has to look for the offset.
func (f *Format) Append(dst []byte, ns int64, loc *time.Location) []byte {
	d := newDate(ns, loc)
	for i := range f.items {
		it := &f.items[i]
		if it.letter == 0 {
			dst = append(dst, it.text...)
			continue
		}
		dst = d.appendItem(dst, it)
	}
	return dst
}

// Size returns a guess at the length of a formatted time, to allocate dst with.
func (f *Format) Size() int { return f.size }

// date is a broken-down time.
type date struct {
	sec       int64 // Unix seconds
	nsec      int64
	year      int
	mon, mday int // from 0, from 1
	yday      int // from 0
	wday      int // Sunday is 0
	hour, min int
	second    int
	offset    int // seconds east of UTC
	zone      string
}

func newDate(ns int64, loc *time.Location) (d date) {
	d.sec, d.nsec = floorDiv(ns, nsPerSecond)
	d.zone = "GMT" // What gmtime(3) says.
	if loc != nil && loc != time.UTC {
		d.zone, d.offset = time.Unix(d.sec, 0).In(loc).Zone()
	}
	days, sec := floorDiv(d.sec+int64(d.offset), secondsPerDay)
	d.year, d.mon, d.mday = civilDate(int(days))
	d.yday = monthDay(d.year, d.mon) + d.mday - 1
	_, wday := floorDiv(days+4, 7) // 1970-01-01 was a Thursday.
	d.wday = int(wday)
	d.hour, d.min, d.second = int(sec/3600), int(sec/60%60), int(sec%60)
	return d
}

// isoWeek returns the year and the week of ISO 8601.
func (d *date) isoWeek() (year, week int) {
	// The week belongs to the year of its Thursday.
	thursday := d.yday - (d.wday+6)%7 + 3
	year = d.year
	switch length := monthDay(year, 12); {
	case thursday < 0:
		year--
		thursday += monthDay(year, 12)
	case thursday >= length:
		thursday -= length
		year++
	}
	return year, thursday/7 + 1
}

// appendItem appends one conversion.
func (d *date) appendItem(dst []byte, it *item) []byte {
	number := func(v, width int, pad byte) []byte { return it.appendNumber(dst, v, width, pad) }
	hour12 := (d.hour+11)%12 + 1
	switch it.letter {
	case fraction:
		return appendFraction(dst, d.nsec, it.width)
	case 'Y':
		return number(d.year, 1, '0')
	case 'm':
		return number(d.mon+1, 2, '0')
	case 'd':
		return number(d.mday, 2, '0')
	case 'e':
		return number(d.mday, 2, ' ')
	case 'H':
		return number(d.hour, 2, '0')
	case 'k':
		return number(d.hour, 2, ' ')
	case 'I':
		return number(hour12, 2, '0')
	case 'l':
		return number(hour12, 2, ' ')
	case 'M':
		return number(d.min, 2, '0')
	case 'S':
		return number(d.second, 2, '0')
	case 'j':
		return number(d.yday+1, 3, '0')
	case 'y':
		return number(d.year%100, 2, '0')
	case 'C':
		return number(d.year/100, 2, '0')
	case 'u':
		return number((d.wday+6)%7+1, 1, '0')
	case 'w':
		return number(d.wday, 1, '0')
	case 'U':
		return number((d.yday-d.wday+7)/7, 2, '0')
	case 'W':
		return number((d.yday-(d.wday+6)%7+7)/7, 2, '0')
	case 'V':
		_, week := d.isoWeek()
		return number(week, 2, '0')
	case 'G':
		year, _ := d.isoWeek()
		return number(year, 1, '0')
	case 'g':
		year, _ := d.isoWeek()
		return number(year%100, 2, '0')
	case 's':
		return number(int(d.sec), 1, '0')
	}
	// What is left is text: it is written first, then padded and changed.
	start := len(dst)
	upper := it.upper
	switch it.letter {
	case unknown:
		dst = append(dst, it.text...)
	case '%':
		dst = append(dst, '%')
	case 'n':
		dst = append(dst, '\n')
	case 't':
		dst = append(dst, '\t')
	case 'a':
		dst, upper = append(dst, weekdayNames[d.wday][:3]...), upper || it.swap
	case 'A':
		dst, upper = append(dst, weekdayNames[d.wday]...), upper || it.swap
	case 'b', 'h':
		dst, upper = append(dst, monthNames[d.mon][:3]...), upper || it.swap
	case 'B':
		dst, upper = append(dst, monthNames[d.mon]...), upper || it.swap
	case 'p', 'P':
		name := "AM"
		if d.hour >= 12 {
			name = "PM"
		}
		dst = append(dst, name...)
		if it.letter == 'P' || it.swap {
			toLower(dst[start:])
			upper = upper && it.letter == 'p' && !it.swap
		}
	case 'Z':
		dst = append(dst, d.zone...)
		if it.swap {
			toLower(dst[start:])
			upper = false
		}
	case 'z':
		return it.appendZone(dst, d.offset)
	case 'F':
		dst = appendDate(dst, d, '-')
	case 'D', 'x':
		dst = appendTwo(appendTwo(appendTwo(dst, d.mon+1, '/'), d.mday, '/'), d.year%100, 0)
	case 'T', 'X':
		dst = appendClock(dst, d)
	case 'R':
		dst = appendTwo(appendTwo(dst, d.hour, ':'), d.min, 0)
	case 'r':
		dst = appendTwo(appendTwo(appendTwo(dst, hour12, ':'), d.min, ':'), d.second, ' ')
		if d.hour < 12 {
			dst = append(dst, "AM"...)
		} else {
			dst = append(dst, "PM"...)
		}
	case 'c':
		dst = append(append(dst, weekdayNames[d.wday][:3]...), ' ')
		dst = append(append(dst, monthNames[d.mon][:3]...), ' ')
		if d.mday < 10 {
			dst = append(dst, ' ', byte('0'+d.mday))
		} else {
			dst = appendTwo(dst, d.mday, 0)
		}
		dst = append(appendClock(append(dst, ' '), d), ' ')
		dst = strconv.AppendInt(dst, int64(d.year), 10)
	default:
		panic("BUG: timefmt: unknown conversion")
	}
	if upper {
		toUpper(dst[start:])
	}
	return it.padText(dst, start)
}

// appendNumber appends v, filled with pad to width unless the layout says
// otherwise.
func (it *item) appendNumber(dst []byte, v, width int, pad byte) []byte {
	switch it.pad {
	case 0:
	case '-':
		pad, width = ' ', 0
	default:
		pad = it.pad
	}
	width = max(width, it.width)
	if width == 2 && pad == '0' && 0 <= v && v < 100 {
		return append(dst, byte('0'+v/10), byte('0'+v%10))
	}
	digits := 1
	for x := v; x > 9 || x < -9; x /= 10 {
		digits++
	}
	if v < 0 {
		digits++
		if pad == '0' {
			dst = append(dst, '-')
			v = -v
		}
	}
	for ; digits < width; digits++ {
		dst = append(dst, pad)
	}
	return strconv.AppendInt(dst, int64(v), 10)
}

// appendZone appends an offset as +hhmm.
func (it *item) appendZone(dst []byte, offset int) []byte {
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	v := offset/3600*100 + offset/60%60
	width := max(it.width, 5)
	switch it.pad {
	case ' ':
		for digits := len(strconv.Itoa(v)) + 1; digits < width; digits++ {
			dst = append(dst, ' ')
		}
		dst = append(dst, sign)
		return strconv.AppendInt(dst, int64(v), 10)
	case '-':
		dst = append(dst, sign)
		return strconv.AppendInt(dst, int64(v), 10)
	}
	dst = append(dst, sign)
	return (&item{}).appendNumber(dst, v, width-1, '0')
}

// padText fills dst from start on to the width of the item.
func (it *item) padText(dst []byte, start int) []byte {
	missing := it.width - (len(dst) - start)
	if missing <= 0 {
		return dst
	}
	pad := byte(' ')
	if it.pad == '0' {
		pad = '0'
	}
	for range missing {
		dst = append(dst, pad)
	}
	copy(dst[start+missing:], dst[start:])
	for i := range missing {
		dst[start+i] = pad
	}
	return dst
}

func toUpper(b []byte) {
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - ('a' - 'A')
		}
	}
}

func toLower(b []byte) {
	for i, c := range b {
		b[i] = lower(c)
	}
}

// appendTwo appends two digits and, if it is not 0, what follows them.
func appendTwo(dst []byte, v int, after byte) []byte {
	dst = append(dst, byte('0'+v/10), byte('0'+v%10))
	if after != 0 {
		dst = append(dst, after)
	}
	return dst
}

// appendFraction appends the first digits of nsec.
func appendFraction(dst []byte, nsec int64, digits int) []byte {
	for scale := int64(nsPerSecond / 10); digits > 0; digits-- {
		dst = append(dst, byte('0'+nsec/scale%10))
		scale /= 10
	}
	return dst
}
