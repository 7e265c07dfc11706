package timefmt

import (
	"fmt"
	"time"
)

// zone is a time.Location as a table, which is several times faster to look up
// and can be searched by local time.
type zone struct {
	starts  []int64 // Unix seconds at which the offset of the same index begins
	offsets []int   // seconds east of UTC
	// pages has, for each stretch of 2^pageBits seconds from -zoneMargin on, the
	// index that holds at its start.
	pages []uint16
}

// zoneMargin reaches over every offset, so that local times can be looked up.
const zoneMargin = 2 * secondsPerDay

// pageBits makes a page of 48 days, which few zones change twice in.
const pageBits = 22

func newZone(loc *time.Location) *zone {
	z := &zone{}
	for sec := int64(-zoneMargin); sec <= maxSeconds+zoneMargin; {
		t := time.Unix(sec, 0).In(loc)
		if _, offset := t.Zone(); len(z.offsets) == 0 || z.offsets[len(z.offsets)-1] != offset {
			z.starts = append(z.starts, sec)
			z.offsets = append(z.offsets, offset)
		}
		_, end := t.ZoneBounds()
		if end.IsZero() {
			break
		}
		// Go 1.26 gives the last day of a leap year beyond the zone's table as
		// its own end.
		sec = max(end.Unix(), sec+secondsPerDay/2)
	}
	for sec, i := int64(-zoneMargin), 0; sec <= maxSeconds+zoneMargin; sec += 1 << pageBits {
		for i+1 < len(z.starts) && z.starts[i+1] <= sec {
			i++
		}
		z.pages = append(z.pages, uint16(i))
	}
	return z
}

// offsetAt returns the seconds east of UTC at sec, in Unix seconds. Outside of
// the table the nearest offset counts.
func (z *zone) offsetAt(sec int64) int {
	page := min(max((sec+zoneMargin)>>pageBits, 0), int64(len(z.pages)-1))
	i := int(z.pages[page])
	for i+1 < len(z.starts) && z.starts[i+1] <= sec {
		i++
	}
	return z.offsets[i]
}

// utc returns the Unix seconds of a local time given in seconds as if it were
// UTC. Of two possible times it takes the later if late is set, else the
// earlier. A local time that a clock change leaves out counts with the offset
// before the change if late is set, else with the one that holds at the same
// time in UTC. The two ways are those of mktime(3) and of Fluent Bit's Time_Zone.
func (z *zone) utc(local int64, late bool) int64 {
	before := z.offsetAt(local - secondsPerDay)
	after := z.offsetAt(local + secondsPerDay)
	if before == after {
		return local - int64(before)
	}
	first, second := before, after
	if late {
		first, second = after, before
	}
	if t := local - int64(first); z.offsetAt(t) == first {
		return t
	}
	if t := local - int64(second); z.offsetAt(t) == second {
		return t
	}
	if late {
		return local - int64(before)
	}
	return local - int64(z.offsetAt(local))
}

// abbreviations returns the names that loc has for standard and daylight saving
// time, as tzname of tzset(3), and its standard offset in seconds east of UTC.
func abbreviations(loc *time.Location) (standard, daylight string, offset int) {
	for _, month := range []time.Month{time.January, time.July} {
		t := time.Date(2026, month, 1, 0, 0, 0, 0, loc)
		name, o := t.Zone()
		if t.IsDST() {
			daylight = name
		} else {
			standard, offset = name, o
		}
	}
	if daylight == "" {
		daylight = standard
	}
	return standard, daylight, offset
}

// LoadLocation returns the zone with an IANA name for the option Time_Zone. It
// reads the system's zone files, or those built into the program.
func LoadLocation(name string) (*time.Location, error) {
	// For the standard library these two are not names of the database.
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("load time zone %q: an IANA name is wanted, such as Europe/Berlin", name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("load time zone %q: %w", name, err)
	}
	return loc, nil
}

// ParseOffset reads a Time_Offset: Z, or a sign with hhmm or hh:mm. It returns
// seconds east of UTC. As in Fluent Bit, text after it is ignored.
func ParseOffset(s string) (seconds int, err error) {
	bad := func() (int, error) {
		return 0, fmt.Errorf("parse time offset %q: want Z, +hhmm, -hhmm, +hh:mm or -hh:mm", s)
	}
	if s == "" {
		return bad()
	}
	if s[0] == 'Z' {
		return 0, nil
	}
	if s[0] != '+' && s[0] != '-' || len(s) < 5 {
		return bad()
	}
	p := s[1:]
	minutes := p[2:4]
	if len(p) == 5 && p[2] == ':' {
		minutes = p[3:5]
	}
	h, ok1 := twoDigits(p[0], p[1])
	m, ok2 := twoDigits(minutes[0], minutes[1])
	if !ok1 || !ok2 || h > 59 || m > 59 {
		return bad()
	}
	seconds = h*3600 + m*60
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, nil
}

func twoDigits(a, b byte) (int, bool) {
	a -= '0'
	b -= '0'
	return int(a)*10 + int(b), a <= 9 && b <= 9
}

// zoneName is an abbreviation that %Z knows, with its offset in minutes.
type zoneName struct {
	name    string
	minutes int16
}

// zoneNames is sorted by name. Which zones are known, and what ambiguous names
// such as IST and CST mean, is as in Fluent Bit 5.1.1. The single letters are the
// military zones; there is no J.
var zoneNames = []zoneName{
	{"A", 60}, {"ACDT", 630}, {"ACST", 570}, {"ADT", -180}, {"AEDT", 660}, {"AEST", 600},
	{"AKDT", -480}, {"AKST", -540}, {"ART", -180}, {"AST", -240}, {"AWST", 480},
	{"B", 120}, {"BDT", 360}, {"BRST", -120}, {"BRT", -180},
	{"C", 180}, {"CAT", 120}, {"CDT", -300}, {"CEST", 120}, {"CET", 60}, {"CLST", -180},
	{"CLT", -240}, {"CST", -360},
	{"D", 240}, {"E", 300}, {"EAT", 180}, {"EDT", -240}, {"EEST", 180}, {"EET", 120}, {"EST", -300},
	{"F", 360}, {"G", 420}, {"GMT", 0}, {"GST", 240}, {"H", 480}, {"HADT", -540}, {"HST", -600},
	{"I", 540}, {"ICT", 420}, {"IST", 330}, {"JST", 540}, {"K", 600}, {"KST", 540}, {"L", 660},
	{"M", 720}, {"MDT", -360}, {"MSK", 180}, {"MST", -420}, {"MYT", 480},
	{"N", -60}, {"NDT", -150}, {"NPT", 345}, {"NST", -210}, {"NZDT", 780}, {"NZST", 720},
	{"O", -120}, {"P", -180}, {"PDT", -420}, {"PST", -480}, {"Q", -240}, {"R", -300},
	{"S", -360}, {"SAST", 120}, {"SGT", 480}, {"T", -420}, {"U", -480}, {"UT", 0}, {"UTC", 0},
	{"V", -540}, {"W", -600}, {"WAT", 60}, {"WEST", 60}, {"WET", 0}, {"WIB", 420}, {"WIT", 540},
	{"WITA", 480}, {"X", -660}, {"Y", -720}, {"Z", 0},
}

// maxZoneName is the length of the longest name in zoneNames.
const maxZoneName = 4

// namedZone finds the abbreviation at the start of b, in any case and followed
// by neither letter nor digit. It returns seconds east of UTC and the length.
func namedZone(b []byte) (offset, n int, ok bool) {
	var buf [maxZoneName]byte
	for n < len(b) && isAlnum(b[n]) {
		if n == maxZoneName {
			return 0, 0, false
		}
		c := b[n]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		buf[n] = c
		n++
	}
	lo, hi := 0, len(zoneNames)
	for lo < hi {
		mid := (lo + hi) / 2
		if zoneNames[mid].name < string(buf[:n]) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(zoneNames) || zoneNames[lo].name != string(buf[:n]) {
		return 0, 0, false
	}
	return int(zoneNames[lo].minutes) * 60, n, true
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
