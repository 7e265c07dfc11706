package timefmt

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// now is the time at which the tests read.
var now = time.Date(2024, time.May, 6, 7, 8, 9, 0, time.UTC)

func mustCompile(t testing.TB, layout string, o Options) *Layout {
	t.Helper()
	l, err := Compile(layout, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// checkParse reads text and compares the time, or the error, in words.
func checkParse(t *testing.T, l *Layout, text, want string) {
	t.Helper()
	ns, _, err := l.Parse([]byte(text), now)
	got := time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
	switch {
	case errors.Is(err, ErrMismatch):
		got = "mismatch"
	case errors.Is(err, ErrRange):
		got = "range"
	case err != nil:
		got = err.Error()
	}
	if got != want {
		t.Errorf("layout %q, text %q: got %s, want %s", l, text, got, want)
	}
}

func TestParse(t *testing.T) {
	f := func(layout, text, want string) {
		t.Helper()
		checkParse(t, mustCompile(t, layout, Options{}), text, want)
	}

	// Dates and times in digits.
	f("%Y-%m-%d %H:%M:%S", "2024-01-01 00:00:00", "2024-01-01T00:00:00Z")
	f("%Y-%m-%dT%H:%M:%S", "2024-12-31T23:59:60", "2025-01-01T00:00:00Z")
	f("%Y-%m-%d", "2024-05-01", "2024-05-01T00:00:00Z")
	f("%Y-%m-%d", "2024-13-01", "mismatch")
	f("%Y-%m-%d", "2024-02-31", "2024-03-02T00:00:00Z")
	f("%Y-%m-%d", "yesterday", "mismatch")
	f("%Y-%m-%d", "", "mismatch")
	f("%d/%m/%Y %H:%M", "05/06/2024 07:08", "2024-06-05T07:08:00Z")
	f("%Y-%m-%d %H:%M:%S", "2024-2-3 4:5:6", "2024-02-03T04:05:06Z")
	f("%Y%m%d%H%M%S", "20240203040506", "2024-02-03T04:05:06Z")
	f("%F %T", "2024-02-03 04:05:06", "2024-02-03T04:05:06Z")
	f("%D %R", "02/03/24 04:05", "2024-02-03T04:05:00Z")
	f("%x %X", "02/03/24 04:05:06", "2024-02-03T04:05:06Z")
	f("%F %r", "2024-02-03 04:05:06 PM", "2024-02-03T16:05:06Z")
	f("%c", "Sat Feb  3 04:05:06 2024", "2024-02-03T04:05:06Z")
	f("%Od.%Om.%EY", "03.02.2024", "2024-02-03T00:00:00Z")
	f("%Y-%m-%d", "2024-05-01\x00 and more", "2024-05-01T00:00:00Z")
	f("%Y-%m-%d %H", "2024-05-01\x00 01", "mismatch")

	// A number ends where another digit could not fit.
	f("%d%m/%Y", "45/2024", "2024-05-04T00:00:00Z")
	f("%Y-%m-%d %H", "2024-05-01 24", "mismatch")
	f("%Y-%m-%d %H", "2024-05-01 30", "2024-05-01T03:00:00Z")
	f("%Y-%m-%d %H:%M", "2024-05-01 00:61", "2024-05-01T00:06:00Z")
	f("%Y-%m-%d %H:%M", "2024-05-01 30:01", "mismatch")

	// Names.
	f("%a %b %d %I:%M:%S %p %Y", "Mon Jan 15 03:04:05 PM 2024", "2024-01-15T15:04:05Z")
	f("%a %b %d %I:%M:%S %p %Y", "Tue Dec 31 12:00:00 AM 2024", "2024-12-31T00:00:00Z")
	f("%A, %d %B %Y", "WEDNESDAY, 01 may 2024", "2024-05-01T00:00:00Z")
	f("%A, %d %B %Y", "Wed, 01 Sept 2024", "mismatch")
	f("%d %h %Y", "1 Sep 2024", "2024-09-01T00:00:00Z")
	f("%a %Y-%m-%d", "Xyz 2024-01-01", "mismatch")
	f("%F %I %p", "2024-02-03 12 pm", "2024-02-03T12:00:00Z")
	f("%F %I %p", "2024-02-03 1 xm", "mismatch")
	f("%F %H %p", "2024-02-03 13 pm", "mismatch")
	f("%F %p %I", "2024-02-03 pm 1", "2024-02-03T01:00:00Z")

	// Two-digit years, centuries, days of the year.
	f("%y-%m-%d", "70-01-02", "1970-01-02T00:00:00Z")
	f("%y-%m-%d", "68-01-02", "2068-01-02T00:00:00Z")
	f("%y-%m-%d", "69-01-02", "range")
	f("%C%y-%m-%d", "2070-01-02", "2070-01-02T00:00:00Z")
	f("%y %C %j", "24 20 060", "2024-02-29T00:00:00Z")
	f("%Y %j", "2024 60", "2024-02-29T00:00:00Z")
	f("%Y %j", "2023 60", "2023-03-01T00:00:00Z")
	f("%Y %j", "2023 366", "2024-01-01T00:00:00Z")
	f("%Y %j", "2024 367", "mismatch")
	f("%Y %m %j", "2024 02 35", "2024-03-06T00:00:00Z")

	// What has no day means the last of the month before.
	f("%Y-%m", "2024-05", "2024-04-30T00:00:00Z")
	f("%Y", "2024", "2023-12-31T00:00:00Z")

	// Weeks and weekdays are checked and have no effect.
	f("%F %U %w", "2024-02-03 53 6", "2024-02-03T00:00:00Z")
	f("%F %U", "2024-02-03 54", "mismatch")
	f("%F %u", "2024-02-03 0", "mismatch")
	f("%F %w", "2024-02-03 7", "mismatch")
	f("%G-%V-%g %F", "2024-05-24 2024-02-03", "2024-02-03T00:00:00Z")

	// White space and literal text.
	f("%e/%b/%Y", " 3/Feb/2024", "2024-02-03T00:00:00Z")
	f("%Y-%m-%d  %H:%M", "2024-02-03 \t 04:05", "2024-02-03T04:05:00Z")
	f("%Y-%m-%d %H:%M", "2024-02-0304:05", "2024-02-03T04:05:00Z")
	f("%Y-%m-%d%n%H:%M", "2024-02-03\n\n04:05", "2024-02-03T04:05:00Z")
	f("%Y-%m-%d ", "2024-02-03", "2024-02-03T00:00:00Z")
	f("%Y-%m-%d%t", "2024-02-03", "mismatch")
	f("[%Y-%m-%d]", "[2024-02-03]", "2024-02-03T00:00:00Z")
	f("%Y%%%m%d", "2024%0203", "2024-02-03T00:00:00Z")
	f("%Y-%m-%dt%H", "2024-02-03T04", "mismatch")
	f("%Y-%m-%d", "2024-02-03T04:05", "2024-02-03T00:00:00Z")
	f("%Y-%m-%d", " 2024-02-03", "mismatch")

	// What is no conversion never matches.
	f("%Y-%m-%d %f", "2024-02-03 5", "mismatch")
	f("%Y %L %L", "2024 1 1", "mismatch")
	f("%%L %Y", "%L 2024", "mismatch")
	f("%Ok %F", "4 2024-02-03", "mismatch")
	f("%F %", "2024-02-03 %", "mismatch")
}

func TestParseFraction(t *testing.T) {
	f := func(layout, text, want string) {
		t.Helper()
		checkParse(t, mustCompile(t, layout, Options{}), text, want)
	}
	f("%s.%L", "1700000000.5", "2023-11-14T22:13:20.5Z")
	f("%s.%L", "1700000000.123456789", "2023-11-14T22:13:20.123456789Z")
	f("%s.%L", "1700000000", "mismatch")
	f("%s.%L", "1700000000.", "mismatch")
	f("%s.%L", "1700000000.x", "mismatch")
	f("%Y-%m-%dT%H:%M:%S.%LZ", "2024-05-06T07:08:09.1Z", "2024-05-06T07:08:09.1Z")
	f("%Y-%m-%dT%H:%M:%S.%LZ", "2024-05-06T07:08:09.123456Z", "2024-05-06T07:08:09.123456Z")
	f("%Y-%m-%dT%H:%M:%S.%LZ", "2024-05-06T07:08:09.1234567891Z", "mismatch")
	f("%Y-%m-%dT%H:%M:%S.%L", "2024-05-06T07:08:09.1234567891Z", "2024-05-06T07:08:09.123456789Z")
	f("%Y-%m-%dT%H:%M:%S.%L", "2024-04-01T12:00:00.987654321Z", "2024-04-01T12:00:00.987654321Z")
	f("%Y-%m-%dT%H:%M:%S.%L", "2024-04-01T12:00:01Z", "mismatch")
	f("%Y-%m-%d %H:%M:%S,%L", "2024-04-01 12:00:00,007", "2024-04-01T12:00:00.007Z")
	f("%H:%M:%S.%L %Y-%m-%d", "12:00:00.25 2024-04-01", "2024-04-01T12:00:00.25Z")
	// Fluent Bit loses a nanosecond here, and so do we.
	f("%s.%L", "1700000000.536870", "2023-11-14T22:13:20.536869999Z")
}

func TestParseZone(t *testing.T) {
	f := func(layout, text, want string) {
		t.Helper()
		checkParse(t, mustCompile(t, layout, Options{}), text, want)
	}
	numeric := func(zone, want string) {
		t.Helper()
		f("%Y-%m-%d %H:%M:%S %z", "2024-02-03 04:05:06 "+zone, want)
	}
	for _, zone := range []string{"UTC", "UT", "GMT", "Z", "+0000", "-00:00", "+00"} {
		numeric(zone, "2024-02-03T04:05:06Z")
	}
	numeric("+01:00", "2024-02-03T03:05:06Z")
	numeric("+0900", "2024-02-02T19:05:06Z")
	numeric("+09", "2024-02-02T19:05:06Z")
	numeric("-0330 x", "2024-02-03T07:35:06Z")
	numeric("+9960", "2024-01-30T00:05:06Z")
	numeric("EST", "2024-02-03T09:05:06Z")
	numeric("pdt", "2024-02-03T11:05:06Z")
	for _, zone := range []string{"", "z", "+9", "+090", "CET", "utc", "G", "U", "+a0", "Es"} {
		numeric(zone, "mismatch")
	}
	f("%Y-%m-%dT%H:%M:%S.%L%z", "2024-01-15T08:30:45.123456789+02:00", "2024-01-15T06:30:45.123456789Z")
	f("%Y-%m-%dT%H:%M:%S.%L%z", "2024-01-15T08:30:46.5-0330", "2024-01-15T12:00:46.5Z")
	f("%Y-%m-%dT%H:%M:%S.%L%z", "2024-01-15T08:30:46.5", "mismatch")
	f("%d/%b/%Y:%H:%M:%S %z", "20/Mar/2024:01:02:03 +0900", "2024-03-19T16:02:03Z")
	f("%Y-%m-%d %z %H:%M:%S.%L", "2024-05-06 +0100 01:02:03.5", "2024-05-06T01:02:03.5Z")

	named := func(zone, want string) {
		t.Helper()
		f("%Y-%m-%d %H:%M:%S %Z", "2024-05-06 01:02:03 "+zone, want)
	}
	named("cest", "2024-05-05T23:02:03Z")
	named("NPT.", "2024-05-05T19:17:03Z")
	named("NST", "2024-05-06T04:32:03Z")
	named("IST", "2024-05-05T19:32:03Z")
	named("WITA", "2024-05-05T17:02:03Z")
	named("A", "2024-05-06T00:02:03Z")
	named("y", "2024-05-06T13:02:03Z")
	named("GMT+1", "2024-05-06T01:02:03Z")
	named("UTCX", "2024-05-06T01:02:03Z")
	for _, zone := range []string{"J", "FOO", "Europe", "?"} {
		named(zone, "mismatch")
	}
}

func TestParseZoneNameOfSystem(t *testing.T) {
	local := time.Local
	t.Cleanup(func() { time.Local = local })
	time.Local = mustZone(t, "Asia/Kathmandu")
	l := mustCompile(t, "%F %T %Z", Options{})
	checkParse(t, l, "2024-05-06 12:00:00 +0545", "2024-05-06T06:15:00Z")
	checkParse(t, l, "2024-05-06 12:00:00 +0546", "mismatch")
}

func TestParseYearFromNow(t *testing.T) {
	f := func(layout, text, want string) {
		t.Helper()
		checkParse(t, mustCompile(t, layout, Options{}), text, want)
	}
	f("%b %d %H:%M:%S", "Jan 02 03:04:05", "2024-01-02T03:04:05Z")
	f("%b %d %H:%M:%S", "Jan  2 03:04:05", "2024-01-02T03:04:05Z")
	f("%b %d %H:%M:%S", "  Feb 29 03:04:05", "2024-02-29T03:04:05Z")
	f("%b %d %H:%M:%S", "Jan 02 03:04:05 "+strings.Repeat("a", 44), "2024-01-02T03:04:05Z")
	f("%b %d %H:%M:%S", "", "mismatch")
	f("%H:%M", "10:20", "2024-05-06T10:20:00Z")
	f("%j", "366", "2024-12-31T00:00:00Z")
	f("%H:%M:%S.%L", "10:20:30.5", "2024-05-06T10:20:30.5Z")
	f("%F", "2020-02-03", "2020-02-03T00:00:00Z")

	// The date is that of the zone in which the times are.
	newYear := time.Date(2024, time.December, 31, 23, 30, 0, 0, time.UTC)
	l := mustCompile(t, "%H:%M", Options{Zone: mustZone(t, "Europe/Berlin")})
	ns, _, err := l.Parse([]byte("00:29"), newYear)
	if want := newYear.Add(-time.Minute).UnixNano(); err != nil || ns != want {
		t.Errorf("got %d, %v, want %d", ns, err, want)
	}
}

func TestParseEpoch(t *testing.T) {
	f := func(layout, text, want string) {
		t.Helper()
		checkParse(t, mustCompile(t, layout, Options{}), text, want)
	}
	f("%s", "1700000123", "2023-11-14T22:15:23Z")
	f("%s", "1700000124.75", "2023-11-14T22:15:24Z")
	f("%s", "0", "1970-01-01T00:00:00Z")
	f("%s", "4294967295", "2106-02-07T06:28:15Z")
	f("%s", "4294967296", "range")
	f("%s", "1700000000123", "range")
	f("%s", "99999999999999999999999", "mismatch")
	f("%s", "-1", "mismatch")
	f("%s%z", "1700000000+01", "2023-11-14T21:13:20Z")
	f("%Y-%m-%d", "1969-12-31", "range")
	f("%Y-%m-%d", "0000-01-01", "range")
	f("%Y-%m-%d", "9999-12-31", "range")
}

func TestParseOptions(t *testing.T) {
	f := func(layout string, o Options, text, want string) {
		t.Helper()
		checkParse(t, mustCompile(t, layout, o), text, want)
	}
	india := Options{Offset: 5*3600 + 30*60}
	f("%Y-%m-%d %H:%M:%S", india, "2024-01-01 00:00:00", "2023-12-31T18:30:00Z")
	f("%Y-%m-%d %H:%M:%S %z", india, "2024-01-01 00:00:00 Z", "2024-01-01T00:00:00Z")
	f("%Y-%m-%d %H:%M:%SZ", india, "2024-01-01 00:00:00Z", "2024-01-01T00:00:00Z")
	f("%Y-%m-%dT%H:%M:%S.%LZ", india, "2024-01-01T00:00:00.5Z", "2024-01-01T00:00:00.5Z")
	f("%Y-%m-%dT%TZ", india, "2024-01-01T00:00:00Z", "2023-12-31T18:30:00Z")
	f("%s", Options{Offset: 3600}, "1700000000", "2023-11-14T21:13:20Z")

	const layout = "%Y-%m-%d %H:%M:%S"
	berlin := Options{Zone: mustZone(t, "Europe/Berlin")}
	f(layout, berlin, "2024-01-01 00:00:00", "2023-12-31T23:00:00Z")
	f(layout, berlin, "2024-07-01 00:00:00", "2024-06-30T22:00:00Z")
	f(layout, berlin, "2024-03-31 02:30:00", "2024-03-31T00:30:00Z")
	f(layout, berlin, "2024-10-27 02:30:00", "2024-10-27T00:30:00Z")
	f(layout, berlin, "2060-07-01 00:00:00", "2060-06-30T22:00:00Z")
	f(layout+" %z", berlin, "2024-07-01 00:00:00 -01", "2024-07-01T01:00:00Z")
	newYork := Options{Zone: mustZone(t, "America/New_York")}
	f(layout, newYork, "2024-03-10 02:30:00", "2024-03-10T07:30:00Z")
	f(layout, newYork, "2024-11-03 01:30:00", "2024-11-03T05:30:00Z")

	system := Options{System: mustZone(t, "America/New_York")}
	f(layout, system, "2024-03-10 02:30:00", "2024-03-10T07:30:00Z")
	f(layout, system, "2024-11-03 01:30:00", "2024-11-03T06:30:00Z")
	f(layout, system, "2024-07-01 00:00:00", "2024-07-01T04:00:00Z")
	system = Options{System: mustZone(t, "Europe/Berlin")}
	f(layout, system, "2024-03-31 02:30:00", "2024-03-31T01:30:00Z")
	f(layout, system, "2024-10-27 02:30:00", "2024-10-27T01:30:00Z")
	f(layout+" %z", Options{System: mustZone(t, "Asia/Tokyo")}, "2024-05-06 01:02:03 +0100", "2024-05-05T16:02:03Z")
}

func TestParseLenient(t *testing.T) {
	f := func(layout string, o Options, text, want string) {
		t.Helper()
		o.Lenient = true
		checkParse(t, mustCompile(t, layout, o), text, want)
	}
	const iso = "%Y-%m-%dT%H:%M:%S.%L%z"
	f(iso, Options{}, "2024-01-01T00:00:00", "2024-01-01T00:00:00Z")
	f(iso, Options{}, "2024-01-01T01:00", "2024-01-01T01:00:00Z")
	f(iso, Options{}, "2024-05-06T01:02:03.5", "2024-05-06T01:02:03.5Z")
	f(iso, Options{}, "2024-05-06T01:02:03.5+01", "2024-05-06T00:02:03.5Z")
	f(iso, Options{}, "2024-05-06", "2024-05-06T00:00:00Z")
	f(iso, Options{}, "2024-05", "2024-04-30T00:00:00Z")
	f(iso, Options{}, "hello", "range")
	f("%Y-%m-%d %f", Options{}, "2024-05-06 7", "2024-05-06T00:00:00Z")
	f("%d/%b/%y %H:%M:%S", Options{}, "06/May/24 01:02", "2024-05-06T01:02:00Z")
	f("%j %R/%Y", Options{}, "060 01:02-", "range")
	// The offset counts for whole matches only, a zone always.
	f("%Y-%m-%d %H:%M:%S", Options{Offset: 3600}, "2024-05-06 01:02", "2024-05-06T01:02:00Z")
	f("%Y-%m-%d %H:%M:%S", Options{Offset: 3600}, "2024-05-06 01:02:03", "2024-05-06T00:02:03Z")
	f("%Y-%m-%d %H:%M:%S", Options{Zone: mustZone(t, "Europe/Berlin")}, "2024-05-06 01:02", "2024-05-05T23:02:00Z")
	// A compound before the mismatch has done its work.
	f("%j %R/%b", Options{}, "060 01:02-", "2024-02-29T01:02:00Z")
}

func TestParseReturnsBytesRead(t *testing.T) {
	f := func(layout, text string, want int) {
		t.Helper()
		_, n, err := mustCompile(t, layout, Options{}).Parse([]byte(text), now)
		if err != nil || n != want {
			t.Errorf("layout %q, text %q: got %d, %v, want %d", layout, text, n, err, want)
		}
	}
	f("%Y-%m-%d", "2024-05-06 and more", 10)
	f("%b %d %H:%M:%S", "May  6 07:08:09 host app", 15)
	f("%s.%L", "1700000000.1234567890", 20)
	f("%Y-%m-%d %Z", "2024-05-06 CEST!", 15)
}

func TestCompileRefuses(t *testing.T) {
	f := func(layout string, o Options, want string) {
		t.Helper()
		_, err := Compile(layout, o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("layout %q: got error %v, want %q in it", layout, err, want)
		}
	}
	f("%Y\x00", Options{}, "NUL")
	f("%Y", Options{Zone: time.UTC, System: time.UTC}, "Time_System_Timezone")
	f("%Y", Options{Zone: time.UTC, Offset: 1}, "Time_Offset")
}

func TestWarnings(t *testing.T) {
	f := func(layout string, o Options, want ...string) {
		t.Helper()
		got := mustCompile(t, layout, o).Warnings()
		if len(got) != len(want) {
			t.Fatalf("layout %q: got %q, want %q", layout, got, want)
		}
		for i := range got {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("layout %q: got %q, want %q in it", layout, got[i], want[i])
			}
		}
	}
	f("%Y-%m-%dT%H:%M:%S.%L%z", Options{})
	f("%b %d %H:%M:%S", Options{})
	f("%s.%L", Options{})
	f("%F", Options{})
	f("%Y-%m-%d %f", Options{}, "%f is no known conversion")
	f("%Y-%m-%d %Ok", Options{}, "%Ok is no known conversion")
	f("%F %", Options{}, "nothing follows")
	f("%F %L %L", Options{}, "%L is no known conversion")
	f("%F %z %L", Options{}, "zone before %L")
	f("%F %z", Options{System: time.UTC}, "Time_System_Timezone overrides")
	f("%s", Options{Offset: 60}, "zone options shift")
	f("%Y-%m", Options{}, "no day")
}

func TestParseOffset(t *testing.T) {
	f := func(s string, want int) {
		t.Helper()
		if got, err := ParseOffset(s); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", s, got, err, want)
		}
	}
	f("Z", 0)
	f("+0100", 3600)
	f("+01:00", 3600)
	f("-01:30", -5400)
	f("-0030", -1800)
	f("+5959", 59*3600+59*60)
	for _, s := range []string{"", "UTC", "0100", "+01", "+1", "+010", "+6000", "+0160", "+5960", "+1:30", "+01:00:00", "+ab00"} {
		if got, err := ParseOffset(s); err == nil {
			t.Errorf("%q: got %d, want an error", s, got)
		}
	}
}

func TestLoadLocation(t *testing.T) {
	if loc := mustZone(t, "Asia/Kolkata"); loc.String() != "Asia/Kolkata" {
		t.Errorf("got %v", loc)
	}
	for _, name := range []string{"", "Local", "Nope/Nope"} {
		if _, err := LoadLocation(name); err == nil {
			t.Errorf("%q: want an error", name)
		}
	}
}

// The table must agree with the standard library at every hour, and end.
func TestZoneTable(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe",
		"America/Sao_Paulo", "Africa/Casablanca", "Pacific/Apia", "Asia/Gaza"} {
		loc := mustZone(t, name)
		z := newZone(loc)
		for sec := int64(-zoneMargin); sec < maxSeconds+zoneMargin; sec += 6 * 3600 {
			_, want := time.Unix(sec, 0).In(loc).Zone()
			if got := z.offsetAt(sec); got != want {
				t.Errorf("%s at %d: got %d, want %d", name, sec, got, want)
				break
			}
		}
	}
}

func TestCivilDate(t *testing.T) {
	for days := -100000; days < 200000; days++ {
		want := time.Unix(int64(days)*secondsPerDay, 0).UTC()
		year, mon, mday := civilDate(days)
		if year != want.Year() || mon != int(want.Month())-1 || mday != want.Day() {
			t.Fatalf("day %d: got %d-%d-%d, want %s", days, year, mon+1, mday, want)
		}
		if got := yearDays(year) + monthDay(year, mon) + mday - 1; got != days {
			t.Fatalf("%s: got day %d, want %d", want, got, days)
		}
	}
}

func TestZoneNamesAreSorted(t *testing.T) {
	for i := 1; i < len(zoneNames); i++ {
		if zoneNames[i-1].name >= zoneNames[i].name {
			t.Errorf("%s is not before %s", zoneNames[i-1].name, zoneNames[i].name)
		}
	}
}

var layouts = []struct{ name, layout, text string }{
	{"iso", "%Y-%m-%dT%H:%M:%S.%L%z", "2024-05-06T07:08:09.123456789Z"},
	{"isoOffset", "%Y-%m-%dT%H:%M:%S.%L%z", "2024-05-06T07:08:09.123+02:00"},
	{"plain", "%Y-%m-%d %H:%M:%S", "2024-05-06 07:08:09"},
	{"apache", "%d/%b/%Y:%H:%M:%S %z", "10/Oct/2023:13:55:36 -0700"},
	{"syslog", "%b %d %H:%M:%S", "Oct  1 13:55:36"},
	{"epoch", "%s.%L", "1700000000.123456"},
	{"named", "%F %T %Z", "2024-05-06 07:08:09 CEST"},
}

func TestParseAllocatesNothing(t *testing.T) {
	check := func(name string, l *Layout, text []byte) {
		t.Helper()
		if n := testing.AllocsPerRun(100, func() { l.Parse(text, now) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	for _, c := range layouts {
		check(c.name, mustCompile(t, c.layout, Options{}), []byte(c.text))
		check(c.name+" mismatch", mustCompile(t, c.layout, Options{}), []byte("x"))
	}
	check("zone", mustCompile(t, "%F %T", Options{Zone: mustZone(t, "Europe/Berlin")}), []byte("2024-10-27 02:30:00"))
	check("system", mustCompile(t, "%b %d %T", Options{System: mustZone(t, "Europe/Berlin")}), []byte("Oct 27 02:30:00"))
}

func BenchmarkParse(b *testing.B) {
	run := func(name string, l *Layout, text []byte) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := l.Parse(text, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, c := range layouts {
		run(c.name, mustCompile(b, c.layout, Options{}), []byte(c.text))
	}
	run("zone", mustCompile(b, "%Y-%m-%d %H:%M:%S", Options{Zone: mustZone(b, "Europe/Berlin")}), []byte("2024-05-06 07:08:09"))
}

func FuzzParse(f *testing.F) {
	for _, c := range layouts {
		f.Add(c.layout, c.text, int64(1714979289), uint8(0))
	}
	f.Add("%c%D%r%Ey%C%j%G%V%u%w%U%p%l%k%e%n%t%%%OS", "Mon", int64(-1), uint8(7))
	f.Add("%Y%m%j%d%s%L%Z", "20240103", int64(1)<<62, uint8(255))
	berlin := mustZone(f, "Europe/Berlin")
	f.Fuzz(func(t *testing.T, layout, text string, at int64, flags uint8) {
		o := Options{Lenient: flags&1 != 0}
		switch flags >> 1 & 3 {
		case 1:
			o.Offset = (int(flags>>3) - 16) * 900
		case 2:
			o.Zone = berlin
		case 3:
			o.System = berlin
		}
		l, err := Compile(layout, o)
		if err != nil {
			if strings.IndexByte(layout, 0) < 0 {
				t.Fatalf("layout %q: %v", layout, err)
			}
			return
		}
		ns, n, err := l.Parse([]byte(text), time.Unix(at%(1<<40), 0))
		if ns < 0 || ns/nsPerSecond > maxSeconds || n < 0 || n > len(text) || err != nil && (ns != 0 || n != 0) {
			t.Fatalf("layout %q, text %q: %d, %d, %v", layout, text, ns, n, err)
		}
		if err == nil && !o.Lenient {
			// Text after the layout changes nothing, unless it continues a field.
			again, m, err := l.Parse([]byte(text[:n]), time.Unix(at%(1<<40), 0))
			if err == nil && m == n && again != ns {
				t.Fatalf("layout %q, text %q: %d, and %d without the rest", layout, text, ns, again)
			}
		}
	})
}
