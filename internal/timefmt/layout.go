package timefmt

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Options are what a parser says about times beside the layout.
type Options struct {
	// Offset is Time_Offset in seconds east of UTC. It counts for layouts
	// without a zone.
	Offset int
	// Zone is Time_Zone, or nil. It counts for layouts without a zone and
	// excludes Offset and System.
	Zone *time.Location
	// System is the zone for Time_System_Timezone, time.Local, or nil when the
	// option is off. It overrides Offset and every zone in the text.
	System *time.Location
	// Lenient is Time_Strict off: a text that does not fit the layout to its
	// end yields the time read so far.
	Lenient bool
}

// Layout is a compiled strptime layout. It is immutable.
type Layout struct {
	text     string
	head     []op // before %L
	tail     []op // after %L
	fraction bool // has %L
	noYear   bool // the year comes from now
	zoned    bool // has a zone, so that offset and zone do not count
	lenient  bool

	offset int
	local  *zone // the zone that times without one are in, or nil for offset
	late   bool  // how local takes ambiguous times

	// The names that %Z knows from the system, and their offset.
	standard, daylight string
	standardOffset     int

	warnings []string
}

// op is one step of a layout: a conversion or a literal byte.
type op struct {
	code opcode
	arg  byte // the byte of opLiteral; the number of steps a fast step replaces
}

type opcode uint8

const (
	opLiteral opcode = iota
	opSpaces         // any white space; the only step allowed at the end of the text
	opBlank          // any white space, but not at the end of the text
	opFail
	opFinish // the end of a compound: a later mismatch keeps what it derived
	opWeekdayName
	opMonthName
	opCentury
	opDayPadded
	opDay
	opHour
	opHour12
	opYearDay
	opMinute
	opMonth
	opAMPM
	opSecond
	opEpoch
	opWeek   // 0 to 53, checked only
	opDigit6 // a weekday 0 to 6, checked only
	opDigit7 // a weekday 1 to 7, checked only
	opTwo    // 0 to 99, checked only
	opISOYear
	opYear
	opYear2
	opZoneName
	opZone
	opFastDate // the next five steps are %Y-%m-%d
	opFastTime // the next five steps are %H:%M:%S
)

// conversions maps a conversion letter to its step.
var conversions = [256]opcode{
	'a': opWeekdayName, 'A': opWeekdayName,
	'b': opMonthName, 'B': opMonthName, 'h': opMonthName,
	'C': opCentury, 'e': opDayPadded, 'd': opDay,
	'k': opHour, 'H': opHour, 'l': opHour12, 'I': opHour12,
	'j': opYearDay, 'M': opMinute, 'm': opMonth, 'p': opAMPM, 'S': opSecond, 's': opEpoch,
	'U': opWeek, 'W': opWeek, 'V': opWeek, 'w': opDigit6, 'u': opDigit7, 'g': opTwo, 'G': opISOYear,
	'Y': opYear, 'y': opYear2, 'Z': opZoneName, 'z': opZone, 'n': opBlank, 't': opBlank,
}

// compounds maps a conversion letter to the layout that it stands for, as in the
// C locale.
var compounds = map[byte]string{
	'c': "%a %b %e %H:%M:%S %Y",
	'D': "%m/%d/%y",
	'F': "%Y-%m-%d",
	'R': "%H:%M",
	'r': "%I:%M:%S %p",
	'T': "%H:%M:%S",
	'X': "%H:%M:%S",
	'x': "%m/%d/%y",
}

// Letters that the modifiers %E and %O may stand before, besides those that
// take either. The modifiers change nothing.
const (
	legalE      = "cXxCYy"
	legalO      = "edHIMmSUWwuy"
	legalEither = "gGVZzs%"
)

// Compile prepares a layout of strptime(3) as Fluent Bit's Time_Format has it.
// Like there, a layout that can never match is no error; see Warnings. Errors
// are for options that contradict each other and for NUL bytes.
func Compile(layout string, o Options) (*Layout, error) {
	switch {
	case strings.IndexByte(layout, 0) >= 0:
		return nil, fmt.Errorf("compile time layout %q: it holds a NUL byte", layout)
	case o.Zone != nil && o.System != nil:
		return nil, errors.New("compile time layout: Time_Zone cannot be combined with Time_System_Timezone")
	case o.Zone != nil && o.Offset != 0:
		return nil, errors.New("compile time layout: Time_Zone cannot be combined with Time_Offset")
	}
	// What the layout has is decided by its text, not by its conversions: this
	// also finds "%Y" in "%%Y".
	has := func(s string) bool { return strings.Contains(layout, s) }
	l := &Layout{
		text:    layout,
		lenient: o.Lenient,
		noYear:  !has("%Y") && !has("%y") && !has("%s"),
		zoned:   has("%z") || has("%Z") || has("%SZ") || has("%S.%LZ"),
		offset:  o.Offset,
	}
	if o.System != nil {
		l.local, l.late = newZone(o.System), true
	} else if o.Zone != nil && !l.zoned {
		l.local = newZone(o.Zone)
	}
	head, tail, fraction := strings.Cut(layout, "%L")
	l.fraction = fraction
	l.head = fuse(l.compile(nil, head))
	l.tail = fuse(l.compile(nil, tail))
	if l.sets(opZoneName) {
		l.standard, l.daylight, l.standardOffset = abbreviations(time.Local)
	}
	l.warn(head, tail, o)
	return l, nil
}

// String returns the text of the layout.
func (l *Layout) String() string { return l.text }

// Warnings returns what in the layout is probably a mistake, one sentence each.
func (l *Layout) Warnings() []string { return l.warnings }

// compile appends the steps of text to ops.
func (l *Layout) compile(ops []op, text string) []op {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if isSpace(c) {
			ops = append(ops, op{code: opSpaces})
			continue
		}
		if c != '%' {
			ops = append(ops, op{code: opLiteral, arg: c})
			continue
		}
		start := i
		i++
		legal := ""
		if i < len(text) && (text[i] == 'E' || text[i] == 'O') {
			legal = legalE
			if text[i] == 'O' {
				legal = legalO
			}
			i++
		}
		if i == len(text) {
			l.warnings = append(l.warnings, fmt.Sprintf("the time layout %q never matches: nothing follows the last %%", l.text))
			return append(ops, op{code: opFail})
		}
		c = text[i]
		known := c == '%' || conversions[c] != opLiteral || compounds[c] != ""
		if !known || legal != "" && strings.IndexByte(legal, c) < 0 && strings.IndexByte(legalEither, c) < 0 {
			l.warnings = append(l.warnings, fmt.Sprintf("the time layout %q never matches: %s is no known conversion", l.text, text[start:i+1]))
			return append(ops, op{code: opFail})
		}
		switch {
		case c == '%':
			ops = append(ops, op{code: opLiteral, arg: '%'})
		case compounds[c] != "":
			ops = l.compile(ops, compounds[c])
			if l.lenient {
				ops = append(ops, op{code: opFinish})
			}
		default:
			ops = append(ops, op{code: conversions[c]})
		}
	}
	return ops
}

// fastSteps are runs of steps that one step can do at once.
var fastSteps = []struct {
	fast opcode
	ops  [5]op
}{
	{opFastDate, [5]op{{code: opYear}, {opLiteral, '-'}, {code: opMonth}, {opLiteral, '-'}, {code: opDay}}},
	{opFastTime, [5]op{{code: opHour}, {opLiteral, ':'}, {code: opMinute}, {opLiteral, ':'}, {code: opSecond}}},
}

// fuse puts a fast step before each run of steps it can replace. The run stays,
// for texts in another form than the usual.
func fuse(ops []op) []op {
	var out []op
	for i, o := range ops {
		for _, f := range fastSteps {
			if len(ops)-i >= len(f.ops) && [5]op(ops[i:i+5]) == f.ops {
				out = append(out, op{code: f.fast, arg: byte(len(f.ops))})
			}
		}
		out = append(out, o)
	}
	return out
}

// warn adds the warnings that concern the layout as a whole.
func (l *Layout) warn(head, tail string, o Options) {
	add := func(format string, args ...any) {
		l.warnings = append(l.warnings, fmt.Sprintf("the time layout %q ", l.text)+fmt.Sprintf(format, args...))
	}
	zone := func(s string) bool { return strings.Contains(s, "%z") || strings.Contains(s, "%Z") }
	if l.fraction && zone(head) && !zone(tail) {
		add("reads a zone before %%L, which is ignored: times count as UTC")
	}
	if o.System != nil && zone(l.text) {
		add("reads a zone, which Time_System_Timezone overrides")
	}
	if strings.Contains(l.text, "%s") && !l.zoned && (o.Offset != 0 || o.Zone != nil) || strings.Contains(l.text, "%s") && o.System != nil {
		add("reads seconds since 1970, which the zone options shift")
	}
	if !l.noYear && !l.sets(opDay, opDayPadded, opYearDay, opEpoch) {
		add("has a year and no day, which means the last day of the month before")
	}
}

// sets reports whether the layout has one of the steps.
func (l *Layout) sets(codes ...opcode) bool {
	for _, ops := range [][]op{l.head, l.tail} {
		for _, o := range ops {
			for _, c := range codes {
				if o.code == c {
					return true
				}
			}
		}
	}
	return false
}
