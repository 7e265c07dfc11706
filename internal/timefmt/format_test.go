package timefmt

import (
	"testing"
	"time"
)

// moment is 2024-02-03 04:05:06.789012345 UTC, a Saturday.
const moment = 1706933106_789012345

func mustFormat(t testing.TB, layout string, x Extensions) *Format {
	t.Helper()
	f, err := CompileFormat(layout, x)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFormat(t *testing.T) {
	f := func(layout, want string) {
		t.Helper()
		if got := string(mustFormat(t, layout, Extensions{}).Append(nil, moment, nil)); got != want {
			t.Errorf("layout %q: got %q, want %q", layout, got, want)
		}
	}
	f("", "")
	f("%Y.%m.%d", "2024.02.03")
	f("/logs/%Y/%m/%d/%H/%M/%S/", "/logs/2024/02/03/04/05/06/")
	f("%F %T %D %R %r", "2024-02-03 04:05:06 02/03/24 04:05 04:05:06 AM")
	f("%c|%x|%X", "Sat Feb  3 04:05:06 2024|02/03/24|04:05:06")
	f("%a %A %b %B %h", "Sat Saturday Feb February Feb")
	f("%C %y %e %j %k %l %I %p %P", "20 24  3 034  4  4 04 AM am")
	f("%u %w %U %W %V %G %g", "6 6 04 05 05 2024 24")
	f("%s", "1706933106")
	f("%z %Z", "+0000 GMT")
	f("a%nb%tc%%", "a\nb\tc%")
	f("%Ey %Od", "24 03")

	// Flags and widths.
	f("%-d %_d %-m %e %-H %-j", "3  3 2  3 4 34")
	f("%5d %_5d %05e %-5d %6Y", "00003     3 00003     3 002024")
	f("%^a %^B %#Z %#p %#a %10A|%010a", "SAT FEBRUARY gmt am SAT   Saturday|0000000Sat")

	// What is no conversion stays.
	f("%L %N %3N %f %i %Q %", "%L %N %3N %f %i %Q %")
	f("%Ed %-", "%Ed %-")
}

func TestFormatWeeks(t *testing.T) {
	f := func(date, want string) {
		t.Helper()
		at, err := time.Parse(time.DateOnly, date)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(mustFormat(t, "%G-%V %U %W %u", Extensions{}).Append(nil, at.UnixNano(), nil)); got != want {
			t.Errorf("%s: got %q, want %q", date, got, want)
		}
	}
	f("2021-01-03", "2020-53 01 00 7")
	f("2021-01-04", "2021-01 01 01 1")
	f("2024-12-30", "2025-01 52 53 1")
	f("2027-01-01", "2026-53 00 00 5")
	f("1970-01-01", "1970-01 00 00 4")
	f("1969-12-29", "1970-01 52 52 1")
}

func TestFormatExtensions(t *testing.T) {
	f := func(layout string, x Extensions, want string) {
		t.Helper()
		if got := string(mustFormat(t, layout, x).Append(nil, moment, nil)); got != want {
			t.Errorf("layout %q: got %q, want %q", layout, got, want)
		}
	}
	aws := Extensions{Fraction: 9, N: true}
	f("%s.%L", aws, "1706933106.789012345")
	f("%Y-%m-%dT%H:%M:%S.%3N", aws, "2024-02-03T04:05:06.789")
	f("%6N %9N %1N %N %2L %%L", aws, "789012 789012345 %1N %N %2L %L")
	f("%Y-%m-%d %H:%M:%S.%L", Extensions{Fraction: 3}, "2024-02-03 04:05:06.789")
}

func TestFormatInZone(t *testing.T) {
	f := func(zone, want string) {
		t.Helper()
		got := string(mustFormat(t, "%F %T %z %Z", Extensions{}).Append(nil, moment, mustZone(t, zone)))
		if got != want {
			t.Errorf("%s: got %q, want %q", zone, got, want)
		}
	}
	f("America/New_York", "2024-02-02 23:05:06 -0500 EST")
	f("Asia/Kathmandu", "2024-02-03 09:50:06 +0545 +0545")
}

func TestCompileFormatRefuses(t *testing.T) {
	f := func(layout string, x Extensions) {
		t.Helper()
		if _, err := CompileFormat(layout, x); err == nil {
			t.Errorf("layout %q: want an error", layout)
		}
	}
	f("%99999999999999999999d", Extensions{})
	f("%L", Extensions{Fraction: 10})
	f("%L", Extensions{Fraction: -1})
}

func TestFormatReadsBack(t *testing.T) {
	const layout = "%a, %d %b %Y %H:%M:%S %z"
	f, l := mustFormat(t, layout, Extensions{}), mustCompile(t, layout, Options{})
	for ns := int64(0); ns < 4_000_000_000_000_000_000; ns += 86_399_999_000_000_000 / 2 {
		want := ns / nsPerSecond * nsPerSecond
		text := f.Append(nil, ns, nil)
		if got, _, err := l.Parse(text, now); err != nil || got != want {
			t.Fatalf("%s: got %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestDateFormats(t *testing.T) {
	f := func(name string, ns int64, want string) {
		t.Helper()
		d, ok := ParseDateFormat(name)
		if got := string(d.AppendJSON(nil, ns)); !ok || got != want {
			t.Errorf("%s: got %s, %v, want %s", name, got, ok, want)
		}
	}
	f("double", moment, "1706933106.789012")
	f("Double", 1700000001_111000000, "1700000001.111")
	f("double", 1700000000_000000000, "1700000000.0")
	f("double", 1700000000_000000001, "1700000000.0")
	f("double", 1700000000_000000300, "1700000000")
	f("iso8601", moment, `"2024-02-03T04:05:06.789012Z"`)
	f("ISO8601", 1577836800_000000000, `"2020-01-01T00:00:00.000000Z"`)
	f("java_sql_timestamp", moment, `"2024-02-03 04:05:06.789012"`)
	f("epoch", moment, "1706933106")
	f("epoch_ms", moment, "1706933106789")
	f("epoch_millis", moment, "1706933106789")
	f("epoch_milliseconds", moment, "1706933106789")
	// Times before 1970 round down like all others.
	f("iso8601", -1, `"1969-12-31T23:59:59.999999Z"`)
	f("epoch", -1, "-1")
	if _, ok := ParseDateFormat("rfc3339"); ok {
		t.Error("rfc3339: want no format")
	}
	if got := string(JavaSQL.AppendText(nil, 0)); !JavaSQL.IsText() || Epoch.IsText() || got != "1970-01-01 00:00:00.000000" {
		t.Errorf("got %s", got)
	}
}

func TestFormatAllocatesNothing(t *testing.T) {
	format := mustFormat(t, "%a %c %Y-%m-%dT%H:%M:%S.%L%z %-d %10A %s", Extensions{Fraction: 9})
	buf := make([]byte, 0, 256)
	berlin := mustZone(t, "Europe/Berlin")
	f := func(name string, do func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	f("format", func() { format.Append(buf, moment, nil) })
	f("zone", func() { format.Append(buf, moment, berlin) })
	f("iso8601", func() { ISO8601.AppendJSON(buf, moment) })
	f("double", func() { Double.AppendJSON(buf, moment) })
}

func BenchmarkAppend(b *testing.B) {
	buf := make([]byte, 0, 256)
	run := func(name string, do func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				do()
			}
		})
	}
	format := mustFormat(b, "%Y-%m-%dT%H:%M:%S.%L", Extensions{Fraction: 9})
	index := mustFormat(b, "%Y.%m.%d", Extensions{})
	run("iso", func() { format.Append(buf, moment, nil) })
	run("index", func() { index.Append(buf, moment, nil) })
	run("AppendISO8601", func() { AppendISO8601(buf, moment) })
	run("double", func() { Double.AppendJSON(buf, moment) })
}

func FuzzFormat(f *testing.F) {
	f.Add("%Y-%m-%dT%H:%M:%S.%L%z", int64(moment))
	f.Add("%^#_-010c%Ey%Od%5%%G-%V", int64(-1))
	f.Fuzz(func(t *testing.T, layout string, ns int64) {
		format, err := CompileFormat(layout, Extensions{Fraction: 9, N: true})
		if err != nil {
			return
		}
		if got := format.Append(nil, ns, nil); len(got) > (len(layout)+1)*maxWidth {
			t.Fatalf("layout %q: %d bytes", layout, len(got))
		}
	})
}
