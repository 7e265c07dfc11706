package encode

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func encoder(t testing.TB, kv ...string) *Encoder {
	t.Helper()
	var c Config
	var props []option.Property
	for i := 0; i < len(kv); i += 2 {
		props = append(props, option.Prop(kv[i], kv[i+1]))
	}
	if ps := option.Decode(c.Fields(JSON), props, "test", option.Pos{}); ps.HasErrors() {
		t.Fatal(ps.Err())
	}
	return c.NewEncoder(false)
}

func text(t testing.TB, e *Encoder, c *event.Chunk) string {
	t.Helper()
	out, err := e.Append(nil, c)
	if err != nil {
		t.Fatal(err)
	}
	var w bytes.Buffer
	if err := e.Write(&w, c); err != nil || w.String() != string(out) {
		t.Errorf("Write and Append differ: %q, %q, %v", w.String(), out, err)
	}
	return string(out)
}

func TestFormats(t *testing.T) {
	c := plugintest.Chunk(t, "t", `{"a":1}`, `{}`, `{"b":{"c":[1,null]}}`)
	defer c.Release()
	f := func(want string, kv ...string) {
		t.Helper()
		if got := text(t, encoder(t, kv...), c); got != want {
			t.Errorf("%q: got\n%s\nwant\n%s", kv, got, want)
		}
	}
	f(`[{"date":1700000000.25,"a":1},{"date":1700000001.25},{"date":1700000002.25,"b":{"c":[1,null]}}]`)
	f(`{"date":1700000000.25,"a":1}{"date":1700000001.25}{"date":1700000002.25,"b":{"c":[1,null]}}`, "format", "JSON_stream")
	f("{\"a\":1}\n{}\n{\"b\":{\"c\":[1,null]}}\n", "format", "json_lines", "json_date_key", "Off")
	f(string(c.Bytes()), "format", "msgpack")
	f(string(c.Bytes()), "format", "yaml")
	f(`[{"@t":1700000000,"a":1},{"@t":1700000001},{"@t":1700000002,"b":{"c":[1,null]}}]`, "json_date_key", "@t", "json_date_format", "epoch")
}

func TestDates(t *testing.T) {
	f := func(ns int64, format, want string) {
		t.Helper()
		if got := string(AppendDate(nil, ns, dateFormats[format])); got != want {
			t.Errorf("%d as %s: got %s, want %s", ns, format, got, want)
		}
	}
	const ns = 1700000000_123456789
	f(ns, "double", "1700000000.123457")
	f(ns, "epoch", "1700000000")
	f(ns, "epoch_ms", "1700000000123")
	f(ns, "iso8601", `"2023-11-14T22:13:20.123456Z"`)
	f(ns, "java_sql_timestamp", `"2023-11-14 22:13:20.123456"`)
	f(1700000000_000000000, "double", "1700000000.0")
	f(1700000000_999999999, "double", "1700000001.0")
	f(0, "double", "0.0")
	f(0, "iso8601", `"1970-01-01T00:00:00.000000Z"`)
	f(1500000, "double", "0.0015")
	f(1<<32*1e9, "double", "4294967296.0")
}

func TestDoubleIsTheFloatOfSixteenDigits(t *testing.T) {
	check := func(ns int64) {
		t.Helper()
		v := event.Value(event.AppendFloat(nil, seconds(ns)))
		want := string(event.AppendValueJSON(nil, v, event.JSONOptions{}))
		if got := string(appendDouble(nil, ns)); got != want {
			t.Fatalf("%d: got %s, want %s", ns, got, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		check(r.Int64N(1 << 32 * 1e9))
		check(1<<30*1e9 + r.Int64N(1<<30*1e9))
	}
	for micro := range int64(2000) { // halves of a digit
		check(1700000000*1e9 + micro*500)
		check(1<<30*1e9 + micro*250)
	}
}

func TestDateTextIsThatOfTheStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		ns := r.Int64() - r.Int64()
		want := time.Unix(0, ns).UTC().Format(`"2006-01-02T15:04:05.000000Z"`)
		if got := string(AppendDate(nil, ns, ISO8601)); got != want {
			t.Fatalf("%d: got %s, want %s", ns, got, want)
		}
	}
}

func TestARecordsOwnDateWins(t *testing.T) {
	c := plugintest.Chunk(t, "t", `{"a":1,"date":"mine"}`)
	defer c.Release()
	if got := text(t, encoder(t), c); got != `[{"a":1,"date":"mine"}]` {
		t.Errorf("got %s", got)
	}
}

func TestMetadataStandsInFront(t *testing.T) {
	f := func(want, record string, kv ...string) {
		t.Helper()
		c := plugintest.ChunkOf(t, "t", plugintest.Event{Time: plugintest.At, Meta: `{"k":"v"}`, Record: record})
		defer c.Release()
		if got := text(t, encoder(t, kv...), c); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(`[{"date":1700000000.25,"__internal__":{"log_metadata":{"k":"v"}},"a":1}]`, `{"a":1}`)
	f(`[{"date":"2023-11-14T22:13:20.250000Z","__internal__":{"log_metadata":{"k":"v"}}}]`, `{}`, "json_date_format", "iso8601")
	f(`[{"date":1700000000250,"__internal__":{"log_metadata":{"k":"v"}}}]`, `{}`, "json_date_format", "epoch_millis")
	f(`[{"date":1700000000,"a":1,"__internal__":2}]`, `{"a":1,"__internal__":2}`, "json_date_format", "epoch")
	f(`[{"__internal__":{"log_metadata":{"k":"v"}},"date":1}]`, `{"date":1}`)
	f(`[{"__internal__":{"log_metadata":{"k":"v"}},"a":1}]`, `{"a":1}`, "json_date_key", "false")
}

func TestUnicodeIsEscapedOnDemand(t *testing.T) {
	c := plugintest.Chunk(t, "t", `{"ä":"日"}`)
	defer c.Release()
	cfg := Config{Format: JSONStream, DateKey: "ö"}
	if got := text(t, cfg.NewEncoder(true), c); got != `{"\u00f6":1700000000.25,"\u00e4":"\u65e5"}` {
		t.Errorf("got %s", got)
	}
}

func TestAnEmptyChunk(t *testing.T) {
	c := event.NewChunk(event.ChunkID{}, "t", event.Logs, 0, nil)
	defer c.Release()
	if got := text(t, encoder(t), c); got != "[]" {
		t.Errorf("got %s", got)
	}
	if got := text(t, encoder(t, "format", "json_lines"), c); got != "" {
		t.Errorf("got %s", got)
	}
}

func TestBadWordsFallBack(t *testing.T) {
	var c Config
	ps := option.Decode(c.Fields(JSON, "gelf"), []option.Property{option.Prop("format", "xml"), option.Prop("json_date_format", "stardate")}, "test", option.Pos{})
	if ps.HasErrors() || len(ps) != 2 || c.Format != Msgpack || c.DateFormat != Double {
		t.Errorf("got %v, %+v", ps, c)
	}
	if !strings.Contains(ps[0].Message, "gelf") {
		t.Errorf("got %v", ps[0])
	}
}

// largeChunk has n records of about 290 bytes.
func largeChunk(t testing.TB, n int) *event.Chunk {
	records := make([]string, n)
	for i := range records {
		records[i] = fmt.Sprintf(`{"level":"info","ts":"2023-11-14T22:13:20.%03dZ","msg":"request handled in %d ms","method":"GET","path":"/api/v1/users/%d","status":200,"bytes":%d,"remote":"10.1.2.%d","request_id":"%016x","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"}`,
			i%1000, i%900, i%10000, i*37%100000, i%256, uint64(i)*0x9E3779B97F4A7C15)
	}
	return plugintest.Chunk(t, "t", records...)
}

func TestEncodingDoesNotAllocate(t *testing.T) {
	c := largeChunk(t, 1000)
	defer c.Release()
	for _, kv := range [][]string{{"json_date_format", "double"}, {"json_date_format", "iso8601"}, {"format", "json_lines"}} {
		e := encoder(t, kv...)
		buf, _ := e.Append(nil, c)
		if n := testing.AllocsPerRun(20, func() { buf, _ = e.Append(buf[:0], c) }); n > 0 {
			t.Errorf("%q: %v allocations", kv, n)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	const n = 5000
	c := largeChunk(b, n)
	defer c.Release()
	for _, date := range []string{"double", "iso8601"} {
		b.Run(date, func(b *testing.B) {
			e := encoder(b, "format", "json_lines", "json_date_format", date)
			buf, _ := e.Append(nil, c)
			b.SetBytes(int64(len(buf)))
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = e.Append(buf[:0], c)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
		})
	}
}
