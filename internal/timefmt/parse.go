package timefmt

import (
	"bytes"
	"errors"
	"math"
	"time"
)

var (
	// ErrMismatch says that the text does not fit the layout.
	ErrMismatch = errors.New("the text does not fit the time layout")
	// ErrRange says that the time is before 1970 or after 2106, which the
	// forward protocol's EventTime cannot hold.
	ErrRange = errors.New("the time is out of range: 1970 to 2106")
)

// maxSeconds is the last second of an EventTime.
const maxSeconds = math.MaxUint32

// clock is a time while it is read. The year is in full, mon and yday count from
// 0 and mday from 1; nothing but the fields' own conversions limits them.
type clock struct {
	year, mon, mday, yday int
	hour, min, sec        int
	offset                int // seconds east of UTC
}

// part is what one of the two halves of a layout, before and after %L, knows
// about the fields it has read.
type part struct {
	century int
	year2   int // two digits, or -1
	has     uint8
}

const (
	hasYear = 1 << iota
	hasMonth
	hasDay
	hasYearDay
)

// Parse reads a time from the start of b. It returns nanoseconds since 1970 in
// UTC, from 0 to what EventTime can hold, and how many bytes it read. now is
// used for layouts without a year only. The error is ErrMismatch or ErrRange.
func (l *Layout) Parse(b []byte, now time.Time) (ns int64, n int, err error) {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	c := clock{year: 1900}
	p := part{century: 1900, year2: -1}
	i := 0
	if l.noYear {
		c.year, c.mon, c.mday = l.today(now)
		p.has = hasYear
		i = skipSpaces(b, 0)
	}
	var fraction float64
	i, ok := l.run(l.head, b, i, &c, &p)
	p.finish(&c, ok)
	if ok && l.fraction {
		fraction, i, ok = readFraction(b, i)
		if ok {
			// The second half starts without knowledge of the first.
			p = part{century: 1900, year2: -1}
			c.offset = 0
			i, ok = l.run(l.tail, b, i, &c, &p)
			p.finish(&c, ok)
		}
	}
	if !ok && !l.lenient {
		return 0, 0, ErrMismatch
	}
	if ok && !l.zoned {
		c.offset = l.offset
	}
	sec := c.seconds()
	if l.local != nil {
		sec = l.local.utc(sec, l.late)
	} else {
		sec -= int64(c.offset)
	}
	if sec < 0 || sec > maxSeconds {
		return 0, 0, ErrRange
	}
	return sec*nsPerSecond + int64(fraction*nsPerSecond), i, nil
}

// today returns the date of now in the zone of the layout.
func (l *Layout) today(now time.Time) (year, mon, mday int) {
	sec := now.Unix()
	if l.local != nil {
		sec += int64(l.local.offsetAt(sec))
	}
	days, _ := floorDiv(sec, secondsPerDay)
	return civilDate(int(days))
}

// seconds returns the time in Unix seconds as if it were UTC.
func (c *clock) seconds() int64 {
	days := yearDays(c.year) + monthDay(c.year, c.mon) + c.mday - 1
	return int64(days)*secondsPerDay + int64(c.hour*3600+c.min*60+c.sec)
}

// finish derives fields from others after a half of the layout was read, to its
// end if matched is set.
func (p *part) finish(c *clock, matched bool) {
	if p.year2 >= 0 && (matched || c.year == 1900) {
		century := p.century
		if century == 1900 && p.year2 <= 68 {
			century = 2000
		}
		c.year = century + p.year2
		p.has |= hasYear
	}
	if !matched || p.has&hasYear == 0 || p.has&hasYearDay == 0 {
		return
	}
	days := c.yday
	if p.has&hasMonth == 0 {
		c.mon = 0
		for c.mon < 12 && c.yday >= monthDay(c.year, c.mon+1) {
			c.mon++
		}
		days -= monthDay(c.year, c.mon)
	}
	if p.has&hasDay == 0 {
		c.mday = days + 1
	}
}

// run does the steps on b from i on. It returns where it stopped and whether it
// came to the end of the steps.
func (l *Layout) run(ops []op, b []byte, i int, c *clock, p *part) (int, bool) {
	for k := 0; k < len(ops); k++ {
		o := ops[k]
		if i >= len(b) {
			switch o.code {
			case opSpaces:
				continue
			case opFinish:
				p.finish(c, true)
				continue
			}
			return i, false
		}
		ok := true
		var v int
		switch o.code {
		case opLiteral:
			ok = b[i] == o.arg
			i++
		case opSpaces, opBlank:
			i = skipSpaces(b, i)
		case opFastDate:
			if fastDate(b[i:], c, p) {
				i += len("2006-01-02")
				k += int(o.arg)
			}
		case opFastTime:
			if fastTime(b[i:], c) {
				i += len("15:04:05")
				k += int(o.arg)
			}
		case opYear:
			if v, i, ok = number(b, i, 0, 9999); ok {
				c.year = v
				p.year2 = -1
				p.has |= hasYear
			}
		case opMonth:
			if v, i, ok = number(b, i, 1, 12); ok {
				c.mon = v - 1
				p.has |= hasMonth
			}
		case opDayPadded, opDay:
			if o.code == opDayPadded && isSpace(b[i]) {
				i++
			}
			if v, i, ok = number(b, i, 1, 31); ok {
				c.mday = v
				p.has |= hasDay
			}
		case opHour:
			if v, i, ok = number(b, i, 0, 23); ok {
				c.hour = v
			}
		case opHour12:
			if v, i, ok = number(b, i, 1, 12); ok {
				c.hour = v
			}
		case opMinute:
			if v, i, ok = number(b, i, 0, 59); ok {
				c.min = v
			}
		case opSecond:
			if v, i, ok = number(b, i, 0, 60); ok {
				c.sec = v
			}
		case opAMPM:
			i, ok = halfDay(b, i, c)
		case opMonthName:
			if v, i, ok = name(b, i, monthNames[:]); ok {
				c.mon = v
				p.has |= hasMonth
			}
		case opWeekdayName:
			_, i, ok = name(b, i, weekdayNames[:])
		case opYear2:
			if v, i, ok = number(b, i, 0, 99); ok {
				p.year2 = v
			}
		case opCentury:
			if v, i, ok = number(b, i, 0, 99); ok {
				p.century = v * 100
			}
		case opYearDay:
			if v, i, ok = number(b, i, 1, 366); ok {
				c.yday = v - 1
				p.has |= hasYearDay
			}
		case opEpoch:
			i, ok = epoch(b, i, c, p)
		case opZone:
			i, ok = zoneOffset(b, i, c)
		case opZoneName:
			i, ok = l.zoneName(b, i, c)
		case opWeek:
			_, i, ok = number(b, i, 0, 53)
		case opDigit6:
			_, i, ok = number(b, i, 0, 6)
		case opDigit7:
			_, i, ok = number(b, i, 1, 7)
		case opTwo:
			_, i, ok = number(b, i, 0, 99)
		case opISOYear:
			for i++; i < len(b) && isDigit(b[i]); i++ {
			}
		case opFinish:
			p.finish(c, true)
		case opFail:
			ok = false
		default:
			panic("BUG: timefmt: unknown step")
		}
		if !ok {
			return i, false
		}
	}
	return i, true
}
