package encode

import (
	"strconv"

	"github.com/kagarilog/kagari/event"
)

// split returns whole seconds and the nanoseconds above them.
func split(ns int64) (sec, nsec int64) {
	sec, nsec = ns/1e9, ns%1e9
	if nsec < 0 {
		sec, nsec = sec-1, nsec+1e9
	}
	return sec, nsec
}

// AppendDate appends a time, nanoseconds since the Unix epoch, as JSON.
func AppendDate(dst []byte, ns int64, f DateFormat) []byte {
	switch f {
	case Epoch:
		sec, _ := split(ns)
		return strconv.AppendInt(dst, sec, 10)
	case EpochMillis:
		return strconv.AppendInt(dst, millis(ns), 10)
	case ISO8601, JavaSQL:
		dst = append(dst, '"')
		dst = appendDateText(dst, ns, f)
		return append(dst, '"')
	}
	return appendDouble(dst, ns)
}

// appendDateValue appends a time as msgpack, in the form it has in JSON.
func appendDateValue(dst []byte, ns int64, f DateFormat) []byte {
	switch f {
	case Epoch:
		sec, _ := split(ns)
		return event.AppendInt(dst, sec)
	case EpochMillis:
		return event.AppendInt(dst, millis(ns))
	case ISO8601, JavaSQL:
		var text [32]byte
		return event.AppendString(dst, appendDateText(text[:0], ns, f))
	}
	return event.AppendFloat(dst, seconds(ns))
}

func millis(ns int64) int64 {
	sec, nsec := split(ns)
	return sec*1000 + nsec/1e6
}

// seconds is the time as Fluent Bit's floating point number.
func seconds(ns int64) float64 {
	sec, nsec := split(ns)
	return float64(sec) + float64(nsec)/1e9
}

// appendDouble appends the time as a float64 with 16 significant digits, which
// are six behind the point until 2286. From 2004 to 2038 the number has 22 bits
// behind the point, so that the digits come from an integer.
func appendDouble(dst []byte, ns int64) []byte {
	d := seconds(ns)
	sec := int64(d)
	if sec < 1<<30 || sec >= 1<<31 {
		var v [9]byte
		return event.AppendValueJSON(dst, event.Value(event.AppendFloat(v[:0], d)), event.JSONOptions{})
	}
	bits := uint64((d - float64(sec)) * (1 << 22)) // exact
	micro := bits * 1e6 >> 22
	switch rest := bits * 1e6 & (1<<22 - 1); {
	case rest > 1<<21, rest == 1<<21 && micro&1 == 1:
		micro++
	}
	if micro == 1e6 {
		sec, micro = sec+1, 0
	}
	dst = strconv.AppendInt(dst, sec, 10)
	switch {
	case bits == 0:
		return append(dst, '.', '0') // whole numbers are written so
	case micro == 0:
		return dst // this one only rounds to a whole number
	}
	dst = appendMicros(append(dst, '.'), uint32(micro))
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// appendMicros appends six digits.
func appendMicros(dst []byte, n uint32) []byte {
	return append(dst, byte('0'+n/100000), byte('0'+n/10000%10), byte('0'+n/1000%10),
		byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10))
}

// appendDateText appends iso8601 or java_sql_timestamp without quotes. Both have
// microseconds, cut and not rounded.
func appendDateText(dst []byte, ns int64, f DateFormat) []byte {
	sec, nsec := split(ns)
	days, rest := sec/86400, sec%86400
	if rest < 0 {
		days, rest = days-1, rest+86400
	}
	year, month, day := civil(days)
	dst = appendTwo(appendTwo(dst, year/100), year%100)
	dst = appendTwo(append(dst, '-'), month)
	dst = appendTwo(append(dst, '-'), day)
	if f == JavaSQL {
		dst = append(dst, ' ')
	} else {
		dst = append(dst, 'T')
	}
	dst = appendTwo(dst, int(rest/3600))
	dst = appendTwo(append(dst, ':'), int(rest/60%60))
	dst = appendTwo(append(dst, ':'), int(rest%60))
	dst = appendMicros(append(dst, '.'), uint32(nsec/1000))
	if f == ISO8601 {
		dst = append(dst, 'Z')
	}
	return dst
}

func appendTwo(dst []byte, n int) []byte { return append(dst, byte('0'+n/10%10), byte('0'+n%10)) }

// civil turns days since the Unix epoch into a date of the Gregorian calendar,
// for the years that nanoseconds in an int64 reach (1677 to 2262). Years are
// counted from 1 March of year 0 in eras of 400 years, 146097 days.
func civil(days int64) (year, month, day int) {
	z := days + 719468
	era := z / 146097
	doe := z - era*146097                                  // day of the era, from 0
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365 // year of the era, from 0
	doy := doe - (365*yoe + yoe/4 - yoe/100)               // day of the year, from 0 for 1 March
	mp := (5*doy + 2) / 153                                // month, from 0 for March
	day, month, year = int(doy-(153*mp+2)/5)+1, int(mp)+3, int(yoe+era*400)
	if month > 12 {
		month, year = month-12, year+1
	}
	return year, month, day
}
