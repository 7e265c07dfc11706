package parser_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/parser"
)

func TestRegex(t *testing.T) {
	f := func(pattern, line, want string, more ...string) {
		t.Helper()
		got, ns := parse(mustNew(t, append([]string{"Name", "p", "Format", "regex", "Regex", pattern}, more...)...), line)
		if got != want || ns != 42 {
			t.Errorf("%s on %q: got %s at %d, want %s at 42", pattern, line, got, ns, want)
		}
	}
	f(`^(?<k>\w+)=(?<v>\w*)$`, "a=b", `{"k":"a","v":"b"}`)
	f(`^(?<k>\w+)=(?<v>\w*)$`, "a b", `no`)
	// Empty values are left out unless asked for; then groups that took no part
	// are empty too.
	f(`^(?<k>\w+)=(?<v>\w*)$`, "a=", `{"k":"a"}`)
	f(`^(?<k>\w+)=(?<v>\w*)$`, "a=", `{"k":"a","v":""}`, "Skip_Empty_Values", "off")
	f(`^(?<k>\w+)(?:=(?<v>\w*))?$`, "a", `{"k":"a","v":""}`, "Skip_Empty_Values", "off")
	f(`^(?<k>\w*)$`, "", `{}`)
	// A match without any named group is none.
	f(`^(?<k>\d+)?`, "a", `no`)
	f(`^(?<k>\d+)?`, "a", `no`, "Skip_Empty_Values", "off")
	// A match may be anywhere, and over several lines.
	f(`(?<n>\d+)`, "ab 12 cd 34", `{"n":"12"}`)
	f(`^(?<n>\d+)$`, "a\n12\nb", `{"n":"12"}`)
	f(`/(?<n>B+)/i`, "abbc", `{"n":"bb"}`)
	// Plain groups are none beside named ones; groups may be nested.
	f(`(x)(?<a>b(?<c>c))`, "xbc", `{"a":"bc","c":"c"}`)
	// Groups of one name stand together, where the name first occurs.
	f(`(?<a>.)(?<b>.)(?<a>.)`, "123", `{"a":"1","a":"3","b":"2"}`)
	f(`(?<a>1)|(?<a>2)`, "2", `{"a":"2"}`)
	f(`(?<long>.*)`, strings.Repeat("x", 70000), `{"long":"`+strings.Repeat("x", 70000)+`"}`)
}

func TestRegexTime(t *testing.T) {
	f := func(line, want string, wantTime int64, more ...string) {
		t.Helper()
		p := mustNew(t, append([]string{"Name", "p", "Format", "regex", "Regex", `^(?<time>[^ ]*) (?<m>.*)$`, "Time_Format", "%s.%L"}, more...)...)
		got, ns := parse(p, line)
		if got != want || ns != wantTime {
			t.Errorf("%q: got %s at %d, want %s at %d", line, got, ns, want, wantTime)
		}
	}
	f("1700000000.5 x", `{"m":"x"}`, 1700000000_500000000)
	f("1700000000.5 x", `{"time":"1700000000.5","m":"x"}`, 1700000000_500000000, "Time_Keep", "on")
	// A time that does not fit goes all the same.
	f("y x", `{"m":"x"}`, 42)
	f("y x", `{"m":"x"}`, 42, "Time_Keep", "on")
	f(" x", `{"m":"x"}`, 42)
	f("0.0 x", `{"m":"x"}`, 42)
	f("1700000000.5 x", `{"time":"1700000000.5"}`, 42, "Time_Key", "m")
	f("1700000000.5 ", `{}`, 1700000000_500000000)
}

// The header of a map is longer from 16 entries on; leaving fields out may make
// it shorter.
func TestRegexHeaderSizes(t *testing.T) {
	for _, groups := range []int{1, 15, 16, 17, 31, 32, 40} {
		for _, empty := range []int{0, 1, 2, groups} {
			var pattern, line, want strings.Builder
			for i := range groups {
				name := "g" + string(rune('a'+i/10)) + string(rune('0'+i%10))
				pattern.WriteString("(?<" + name + ">[0-9]*),")
				if i >= empty {
					line.WriteString("7")
					if want.Len() > 0 {
						want.WriteString(",")
					}
					want.WriteString(`"` + name + `":"7"`)
				}
				line.WriteString(",")
			}
			p := mustNew(t, "Name", "p", "Format", "regex", "Regex", pattern.String())
			if got, _ := parse(p, line.String()); got != "{"+want.String()+"}" {
				t.Errorf("%d groups, %d empty: got %s", groups, empty, got)
			}
		}
	}
}

func TestRegexProblemsHaveAPlace(t *testing.T) {
	const pattern = "^(?<a>x)(?<"
	_, ps := newParserAt(10, "Name", "p", "Format", "regex", "Regex", pattern)
	if len(ps) != 1 || ps[0].Pos.Line != 4 || ps[0].Pos.Col != 10 || !strings.Contains(ps[0].Message, `option "regex": `) {
		t.Fatalf("got %v", ps)
	}
	if ps[0].Within != pattern || ps[0].Offset <= 8 {
		t.Errorf("the mistake is at %d of %q, want it behind the first group", ps[0].Offset, ps[0].Within)
	}
}

func TestRegexGivesUp(t *testing.T) {
	var out bytes.Buffer
	p := mustNew(t, "Name", "p", "Format", "regex", "Regex", `^(?<a>(?<b>x*)*\k<b>y)*$`)
	p.SetLog(slog.New(slog.NewTextHandler(&out, nil)))
	if got, _ := parse(p, strings.Repeat("x", 20000)); got != "no" {
		t.Errorf("got %.40s", got)
	}
	if p.GivenUp() != 1 || !strings.Contains(out.String(), "too many steps") || out.Len() > 400 {
		t.Errorf("given up: %d, log: %s", p.GivenUp(), out.String())
	}
}

const (
	apachePattern = `^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")?$`
	apacheLine    = `203.0.113.77 - frank [15/Jan/2024:08:30:45 +0000] "GET /api/v1/orders/8812734?page=2 HTTP/1.1" 200 5120 "https://shop.example.com/cart" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"`
)

func apache(t testing.TB, more ...string) *parser.Parser {
	return mustNew(t, append([]string{"Name", "p", "Format", "regex", "Regex", apachePattern, "Time_Format", "%d/%b/%Y:%H:%M:%S %z"}, more...)...)
}

func TestRegexAllocatesNothing(t *testing.T) {
	p := apache(t, "Types", "code:integer size:float user:bool")
	b := event.NewBatch("t")
	b.Grow(1 << 20)
	e := b.Add(0)
	line := []byte(strings.Replace(apacheLine, "frank", "true", 1))
	if n := testing.AllocsPerRun(100, func() {
		if !p.Parse(line, e) {
			t.Fatal("the line does not fit")
		}
	}); n != 0 {
		t.Errorf("%v allocations per line", n)
	}
}

// FuzzRegex checks that the record of any text is one complete map, and that
// types, times and empty values do not change which texts fit.
func FuzzRegex(f *testing.F) {
	f.Add([]byte(apacheLine))
	f.Add([]byte(`a b c [d] "e" f g`))
	f.Add([]byte(`- - - [15/Jan/2024:08:30:45 +0000] "GET / HTTP/1.1" 0x1 -9e999`))
	plain := mustNew(f, "Name", "p", "Format", "regex", "Regex", apachePattern)
	full := apache(f, "Types", "code:hex size:float host:integer user:bool", "Skip_Empty_Values", "off", "Time_Keep", "on")
	f.Fuzz(func(t *testing.T, line []byte) {
		before := bytes.Clone(line)
		b := event.NewBatch("t")
		fits := plain.Parse(line, b.Add(42))
		e := b.Add(42)
		if full.Parse(line, e) != fits {
			t.Fatal("the options change what fits")
		}
		if !bytes.Equal(line, before) {
			t.Fatal("the line was changed")
		}
		if _, rest, err := event.Next(e.Record()); err != nil || len(rest) > 0 {
			t.Fatalf("record %x is no single value: %v", e.Record(), err)
		}
		if n := e.Len(); fits && n != 9 && n != 8 {
			t.Fatalf("%d fields, want one for each group, but maybe for the time", n)
		}
	})
}

func BenchmarkRegexApache(b *testing.B) { benchmarkLine(b, apache(b), []byte(apacheLine)) }

func BenchmarkRegexCRI(b *testing.B) {
	p := mustNew(b, "Name", "cri", "Format", "regex", "Regex", `^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>[^ ]*) (?<message>.*)$`,
		"Time_Format", "%Y-%m-%dT%H:%M:%S.%L%z", "Time_Keep", "on")
	benchmarkLine(b, p, []byte("2024-01-15T08:30:45.123456789Z stdout F "+string(benchLine[:230])))
}
