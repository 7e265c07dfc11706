package timefmt

import (
	"math"
	"strconv"
	"strings"
)

// DateFormat is how an output writes the time of a record into JSON, the option
// json_date_format.
type DateFormat uint8

// The formats. The zero value is Fluent Bit's default.
const (
	Double       DateFormat = iota // 1577836800.123456
	ISO8601                        // "2020-01-01T00:00:00.123456Z"
	JavaSQL                        // "2020-01-01 00:00:00.123456"
	Epoch                          // 1577836800
	Milliseconds                   // 1577836800123
)

// DateFormatNames are the words that ParseDateFormat takes, in lower case.
var DateFormatNames = []string{
	"double", "iso8601", "java_sql_timestamp", "epoch", "epoch_ms", "epoch_millis", "epoch_milliseconds",
}

// ParseDateFormat returns the format with a name of json_date_format, in any case.
func ParseDateFormat(name string) (f DateFormat, ok bool) {
	for i, n := range DateFormatNames {
		if strings.EqualFold(name, n) {
			return min(DateFormat(i), Milliseconds), true
		}
	}
	return 0, false
}

// IsText reports whether the format is a string in JSON, not a number.
func (f DateFormat) IsText() bool { return f == ISO8601 || f == JavaSQL }

// AppendText appends the text of a format for which IsText holds.
func (f DateFormat) AppendText(dst []byte, ns int64) []byte {
	if f == JavaSQL {
		return AppendJavaSQL(dst, ns)
	}
	return AppendISO8601(dst, ns)
}

// AppendJSON appends the time ns, nanoseconds since 1970, as a JSON value.
func (f DateFormat) AppendJSON(dst []byte, ns int64) []byte {
	switch f {
	case ISO8601, JavaSQL:
		return append(f.AppendText(append(dst, '"'), ns), '"')
	case Epoch:
		return strconv.AppendInt(dst, Seconds(ns), 10)
	case Milliseconds:
		ms, _ := floorDiv(ns, 1_000_000)
		return strconv.AppendInt(dst, ms, 10)
	}
	return appendDouble(dst, Float(ns))
}

// Seconds returns whole seconds, rounded down.
func Seconds(ns int64) int64 {
	sec, _ := floorDiv(ns, nsPerSecond)
	return sec
}

// Float returns seconds with their fraction, exact to a quarter of a microsecond.
func Float(ns int64) float64 {
	sec, nsec := floorDiv(ns, nsPerSecond)
	return float64(sec) + float64(nsec)/nsPerSecond
}

// appendDouble writes seconds with at most 16 significant digits, as the JSON
// encoder of Fluent Bit does: whole ones with ".0", others with what is left
// of six digits after the point when zeros at the end are cut.
func appendDouble(dst []byte, v float64) []byte {
	if v == math.Trunc(v) {
		return strconv.AppendFloat(dst, v, 'f', 1, 64)
	}
	digits := 15
	for x := math.Abs(v); x >= 10; x /= 10 {
		digits--
	}
	dst = strconv.AppendFloat(dst, v, 'f', digits, 64)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	if dst[len(dst)-1] == '.' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// AppendISO8601 appends the time ns, nanoseconds since 1970, in UTC with
// microseconds: 2020-01-01T00:00:00.000000Z.
func AppendISO8601(dst []byte, ns int64) []byte {
	d := newDate(ns, nil)
	dst = appendClock(append(appendDate(dst, &d, '-'), 'T'), &d)
	return append(appendFraction(append(dst, '.'), d.nsec, 6), 'Z')
}

// AppendJavaSQL appends the time ns, nanoseconds since 1970, in UTC as
// java.sql.Timestamp with microseconds: 2020-01-01 00:00:00.000000.
func AppendJavaSQL(dst []byte, ns int64) []byte {
	d := newDate(ns, nil)
	dst = appendClock(append(appendDate(dst, &d, '-'), ' '), &d)
	return appendFraction(append(dst, '.'), d.nsec, 6)
}

// appendDate appends year, month and day with a separator.
func appendDate(dst []byte, d *date, separator byte) []byte {
	if d.year < 1000 || d.year > 9999 {
		dst = append(strconv.AppendInt(dst, int64(d.year), 10), separator)
	} else {
		dst = appendTwo(appendTwo(dst, d.year/100, 0), d.year%100, separator)
	}
	return appendTwo(appendTwo(dst, d.mon+1, separator), d.mday, 0)
}

// appendClock appends the time of day as 15:04:05.
func appendClock(dst []byte, d *date) []byte {
	return appendTwo(appendTwo(appendTwo(dst, d.hour, ':'), d.min, ':'), d.second, 0)
}
