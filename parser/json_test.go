package parser_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/parser"
)

// toJSON writes a msgpack value as JSON, with duplicate keys as they are.
func toJSON(v event.Value) string {
	switch v.Kind() {
	case event.KindMap:
		var parts []string
		for k, val := range v.Pairs() {
			parts = append(parts, toJSON(k)+":"+toJSON(val))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case event.KindArray:
		var parts []string
		for val := range v.Items() {
			parts = append(parts, toJSON(val))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case event.KindString:
		s, _ := v.Str()
		out, _ := json.Marshal(string(s))
		return string(out)
	case event.KindInt:
		i, _ := v.Int()
		return fmt.Sprint(i)
	case event.KindUint:
		u, _ := v.Uint()
		return fmt.Sprint(u)
	case event.KindFloat:
		f, _ := v.Float()
		return fmt.Sprintf("%g", f)
	case event.KindBool:
		b, _ := v.Bool()
		return fmt.Sprint(b)
	case event.KindNil:
		return "null"
	}
	return "?"
}

func TestJSON(t *testing.T) {
	p := mustNew(t, "Name", "p", "Format", "json")
	f := func(line, want string) {
		t.Helper()
		got, ns := parse(p, line)
		if got != want || ns != 42 {
			t.Errorf("%s: got %s at %d, want %s at 42", line, got, ns, want)
		}
	}
	f(`{"i":1,"f":2.50,"neg":-7,"t":true,"n":null}`, `{"i":1,"f":2.5,"neg":-7,"t":true,"n":null}`)
	f(`{"o":{"k":[1,{"z":"q"}]},"s":"a\tb/\/"}`, `{"o":{"k":[1,{"z":"q"}]},"s":"a\tb//"}`)
	f(`{"dup":1,"dup":2}`, `{"dup":1,"dup":2}`)
	f(`  {"lead":"space"}  `, `{"lead":"space"}`)
	f(`{}`, `{}`)
	f(`{"a":1} trailing`, `{"a":1}`)
	f(`{"a":1}}`, `{"a":1}`)
	f(`{"a":1}{`, `{"a":1}`)
	f(`{"a":1}{"b":2}`, `no`)
	f(`{"a":1} 5`, `no`)
	f(`{"a":1} true`, `no`)
	f(`[1,2,3]`, `no`)
	f(`"text"`, `no`)
	f(`17`, `no`)
	f(`{"bad":`, `no`)
	f(`not json at all`, `no`)
	f(``, `no`)
	f(`   `, `no`)
	f(strings.Repeat(`{"a":`, 10000)+`1`+strings.Repeat(`}`, 10000), `no`)
}

func TestJSONTime(t *testing.T) {
	const at = 1705307445_123000000
	opts := []string{"Name", "p", "Format", "json", "Time_Key", "time", "Time_Format", "%Y-%m-%dT%H:%M:%S.%L%z"}
	f := func(line, want string, wantTime int64, more ...string) {
		t.Helper()
		got, ns := parse(mustNew(t, append(opts, more...)...), line)
		if got != want || ns != wantTime {
			t.Errorf("%s: got %s at %d, want %s at %d", line, got, ns, want, wantTime)
		}
	}
	const text = `"time":"2024-01-15T08:30:45.123Z"`
	f(`{`+text+`,"level":"info"}`, `{"level":"info"}`, at)
	f(`{"level":"info",`+text+`}`, `{"level":"info"}`, at)
	f(`{"level":"info",`+text+`,"n":1}`, `{"level":"info","n":1}`, at)
	f(`{`+text+`}`, `{}`, at)
	f(`{"level":"info",`+text+`}`, `{"level":"info","time":"2024-01-15T08:30:45.123Z"}`, at, "Time_Keep", "on")
	f(`{"level":"info"}`, `{"level":"info"}`, 42)
	f(`{"time":17,"a":1}`, `{"time":17,"a":1}`, 42)
	f(`{"time":null,"a":1}`, `{"time":null,"a":1}`, 42)
	f(`{"time":"yesterday","a":1}`, `{"time":"yesterday","a":1}`, 42)
	f(`{"x":{`+text+`}}`, `{"x":{`+text+`}}`, 42)
	// The first of several counts, and it alone goes.
	f(`{"time":"x",`+text+`}`, `{"time":"x",`+text+`}`, 42)
	f(`{`+text+`,"time":"x"}`, `{"time":"x"}`, at)
	// Time 0 counts as not set.
	f(`{"time":"1970-01-01T00:00:00.0Z","a":1}`, `{"a":1}`, 42)
	f(`{"time":"1969-12-31T23:59:59.0Z","a":1}`, `{"time":"1969-12-31T23:59:59.0Z","a":1}`, 42)
}

func TestJSONTimeDefaultKey(t *testing.T) {
	got, ns := parse(mustNew(t, "Name", "p", "Format", "json", "Time_Format", "%s"), `{"time":"1700000000","a":1}`)
	if got != `{"a":1}` || ns != 1700000000e9 {
		t.Errorf("got %s at %d", got, ns)
	}
}

func TestJSONTimeWithoutYear(t *testing.T) {
	p := mustNew(t, "Name", "p", "Format", "json", "Time_Format", "%b %d %H:%M:%S")
	got, ns := parse(p, `{"time":"Jan 02 03:04:05"}`)
	want := time.Date(time.Now().UTC().Year(), 1, 2, 3, 4, 5, 0, time.UTC)
	if got != `{}` || ns != want.UnixNano() {
		t.Errorf("got %s at %v, want {} at %v", got, time.Unix(0, ns).UTC(), want)
	}
}

// The header of a map is longer from 16 and from 65536 entries on; taking the
// time out may make it shorter, wherever the field stands.
func TestJSONTimeHeaderSizes(t *testing.T) {
	p := mustNew(t, "Name", "p", "Format", "json", "Time_Key", "t", "Time_Format", "%s")
	for _, n := range []int{1, 2, 15, 16, 17, 65535, 65536, 65537} {
		for _, at := range []int{0, n / 3, n - 1} {
			var line, want bytes.Buffer
			for i := range n {
				sep := ","
				if i == 0 {
					sep = "{"
				}
				if i == at {
					line.WriteString(sep + `"t":"1700000000"`)
					continue
				}
				fmt.Fprintf(&line, `%s"k%d":%d`, sep, i, i)
				if want.Len() > 0 {
					want.WriteByte(',')
				}
				fmt.Fprintf(&want, `"k%d":%d`, i, i)
			}
			line.WriteByte('}')
			got, ns := parse(p, line.String())
			if got != "{"+want.String()+"}" || ns != 1700000000e9 {
				t.Errorf("%d entries, the time at %d: wrong record %.80s… at %d", n, at, got, ns)
			}
		}
	}
}

func TestMisfitIsReported(t *testing.T) {
	var out bytes.Buffer
	p := mustNew(t, "Name", "p", "Format", "json", "Time_Format", "%s")
	p.SetLog(slog.New(slog.NewTextHandler(&out, nil)))
	parse(p, `{"time":"`+strings.Repeat("x", 1000)+`"}`)
	parse(p, `{"time":"1700000000"}`)
	if p.BadTimes() != 1 {
		t.Errorf("BadTimes is %d, want 1", p.BadTimes())
	}
	if !strings.Contains(out.String(), "parser=p") || !strings.Contains(out.String(), "time_format=%s") || out.Len() > 400 {
		t.Errorf("log: %s", out.String())
	}
}

func TestJSONAllocatesNothing(t *testing.T) {
	for _, p := range []interface {
		Parse([]byte, *event.Event) bool
	}{
		mustNew(t, "Name", "p", "Format", "json"),
		mustNew(t, "Name", "p", "Format", "json", "Time_Key", "time", "Time_Format", "%Y-%m-%dT%H:%M:%S.%L%z"),
	} {
		b := event.NewBatch("t")
		b.Grow(1 << 20)
		e := b.Add(0)
		if n := testing.AllocsPerRun(100, func() {
			if !p.Parse(benchLine, e) {
				t.Fatal("the line does not fit")
			}
		}); n != 0 {
			t.Errorf("%v allocations per line", n)
		}
	}
}

// FuzzJSON checks that taking the time out in place gives what taking it out
// of the opened record gives.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":1,"time":"1700000000","b":[2]}`))
	f.Add([]byte(`{"time":"1700000000"} x`))
	f.Add([]byte(`{"time":"x","time":"1"}`))
	f.Add([]byte(`{"a":"\ud83d\ude00","time":1}{}`))
	p := mustNew(f, "Name", "p", "Format", "json", "Time_Format", "%s")
	f.Fuzz(func(t *testing.T, line []byte) {
		before := bytes.Clone(line)
		b := event.NewBatch("t")
		e := b.Add(42)
		if !p.Parse(line, e) {
			return
		}
		if !bytes.Equal(line, before) {
			t.Fatal("the line was changed")
		}
		got := e.Record()
		if _, rest, err := event.Next(got); err != nil || len(rest) > 0 {
			t.Fatalf("record %x is no single value: %v", got, err)
		}
		want := b.Add(42)
		all, _, err := event.AppendJSON(nil, line)
		if err != nil {
			t.Fatalf("parsed %q, which is no JSON: %v", line, err)
		}
		want.SetRecord(all)
		if e.Time != 42 {
			fields := want.Fields()
			for i, field := range fields {
				if string(field.Name()) == "time" {
					fields = append(fields[:i], fields[i+1:]...)
					break
				}
			}
			want.SetFields(fields)
		}
		if !bytes.Equal(got, want.Record()) && e.Time != 42 {
			t.Fatalf("%q: record %x, want %x", line, got, want.Record())
		}
	})
}

var benchLine = []byte(`{"time":"2024-01-15T08:30:45.123456Z","level":"info","method":"GET","path":"/api/v1/orders/8812734","status":200,"bytes":5120,"duration_ms":12.75,"client":"10.42.17.203","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36","request_id":"7f3c1a52-9f0e-4b6e-8f55-0d9f3c1b7a11"}`)

func benchmark(b *testing.B, kv ...string) { benchmarkLine(b, mustNew(b, kv...), benchLine) }

func benchmarkLine(b *testing.B, p *parser.Parser, line []byte) {
	batch := event.NewBatch("t")
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%900 == 0 {
			batch.Free()
			batch = event.NewBatch("t")
			batch.Grow(256 << 10)
		}
		p.Parse(line, batch.Add(1))
	}
}

func BenchmarkJSON(b *testing.B) { benchmark(b, "Name", "p", "Format", "json") }

func BenchmarkJSONTime(b *testing.B) {
	benchmark(b, "Name", "p", "Format", "json", "Time_Key", "time", "Time_Format", "%Y-%m-%dT%H:%M:%S.%L%z")
}
