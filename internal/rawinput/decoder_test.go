package rawinput

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// reader makes a reader from alternating keys and values.
func reader(t testing.TB, env *plugin.Env, keysAndValues ...string) *Reader {
	t.Helper()
	r, err := tryReader(env, keysAndValues...)
	if err != nil {
		t.Fatalf("options %q: %v", keysAndValues, err)
	}
	return r
}

func tryReader(env *plugin.Env, keysAndValues ...string) (*Reader, error) {
	var o Options
	fields := append(o.Fields(), o.PeerFields()...)
	if err := option.Decode(fields, plugintest.Props(keysAndValues...), "", option.Pos{}).Err(); err != nil {
		return nil, err
	}
	return NewReader(&o, Env{Tag: "t", Log: env.Log, Reject: env.Stats.Reject}, env.Parser)
}

// pairs is a parser of "key=value".
type pairs struct{}

func (pairs) Parse(line []byte, e *event.Event) bool {
	k, v, ok := strings.Cut(string(line), "=")
	if ok {
		e.Append(e.Batch().String(k), e.Batch().String(v))
	}
	return ok
}

func withParser(env *plugin.Env) *plugin.Env {
	env.Parser = func(name string) (plugin.Parser, error) {
		if name != "pairs" {
			return nil, fmt.Errorf("parser %q is not defined", name)
		}
		return pairs{}, nil
	}
	return env
}

// feed decodes data in pieces of the given size, 0 for all at once, and
// returns the records and what is left.
func feed(d *decoder, data []byte, piece int) (records []string, left []byte) {
	if piece <= 0 {
		piece = max(1, len(data))
	}
	b := event.NewBatch("t")
	var buf []byte
	for len(data) > 0 {
		n := min(piece, len(data))
		buf = append(buf, data[:n]...)
		data = data[n:]
		used := 0
		if d.seen == 0 && d.values.seen == 0 {
			used = blank(buf)
		}
		used += d.decode(b, buf[used:], 1)
		buf = slices.Clone(buf[used:])
	}
	d.forget()
	buf = buf[d.decode(b, buf, 1):]
	for i := range b.Events {
		records = append(records, plugintest.JSON(b.Events[i].Record()))
	}
	b.Free()
	return records, buf
}

func TestDecode(t *testing.T) {
	long := strings.Repeat("x", 5000)
	f := func(props []string, in string, want []string, wantLeft string) {
		t.Helper()
		for _, piece := range []int{0, 1, 2, 3, 7, 4096} {
			d := &decoder{Reader: reader(t, withParser(plugintest.Env(t)), props...), peer: "tcp://1.2.3.4:5"}
			got, left := feed(d, []byte(in), piece)
			if !slices.Equal(got, want) || string(left) != wantLeft {
				t.Errorf("with %q, %.100q in pieces of %d gives %.200q and leaves %.100q, expected %.200q and %.100q",
					props, in, piece, got, left, want, wantLeft)
			}
		}
	}
	var json []string
	f(json, `{"a":1}{"b":[2]}`+"\n"+`{"c":"x`+"\n"+`y"}`+"\n", []string{`{"a":1}`, `{"b":[2]}`, `{"c":"x\ny"}`}, "")
	f(json, `{"a":1}{"b":`, []string{`{"a":1}`}, `{"b":`)
	f(json, ` , {"a":"}{"}  ,[1,{"k":"]"}] `, []string{`{"a":"}{"}`, `{"msg":[1,{"k":"]"}]}`}, "")
	f(json, `{"a":"\\\"}"}`, []string{`{"a":"\\\"}"}`}, "")
	f(json, `{"a":"`+long+`"}{"b":1}`, []string{`{"a":"` + long + `"}`, `{"b":1}`}, "")
	f(json, "{\n \"a\": {\n  \"b\": [1,\n 2]\n }\n}\n", []string{`{"a":{"b":[1,2]}}`}, "")
	f(json, "", nil, "")
	f(json, "\r\n\r\n", nil, "")
	f([]string{"source_address_key", "from"}, `{"a":1}[2]`,
		[]string{`{"a":1,"from":"tcp://1.2.3.4:5"}`, `{"msg":[2],"from":"tcp://1.2.3.4:5"}`}, "")

	none := []string{"format", "none"}
	f(none, "one\ntwo\n\nunfinished", []string{`{"log":"one"}`, `{"log":"two"}`}, "unfinished")
	f(none, "\n\na\n", []string{`{"log":"a"}`}, "")
	f(none, "a\x00b\n\xff\n", []string{`{"log":"a\u0000b"}`, "{\"log\":\"\ufffd\"}"}, "")
	f([]string{"format", "none", "separator", "|"}, "a|b||c\nd|e", []string{`{"log":"a"}`, `{"log":"b"}`, `{"log":"c\nd"}`}, "e")
	f([]string{"format", "none", "separator", `\t\\`}, "a\t\\b\tc\t\\", []string{`{"log":"a"}`, `{"log":"b\tc"}`}, "")
	f([]string{"format", "none", "separator", "END"}, "aENDbENENDcEND", []string{`{"log":"a"}`, `{"log":"bEN"}`, `{"log":"c"}`}, "")
	f([]string{"parser", "pairs", "source_address_key", "from"}, "k=v\nno\n",
		[]string{`{"k":"v","from":"tcp://1.2.3.4:5"}`, `{"log":"no","from":"tcp://1.2.3.4:5"}`}, "")
	f([]string{"format", "none", "source_address_key", "from"}, "x\n", []string{`{"log":"x"}`}, "")
}

func TestCarriageReturnsAreKept(t *testing.T) {
	d := &decoder{Reader: reader(t, plugintest.Env(t), "format", "none")}
	got, _ := feed(d, []byte("a\r\n\r\nb\r\n"), 0)
	if want := []string{`{"log":"a\r"}`, `{"log":"\r"}`, `{"log":"b\r"}`}; !slices.Equal(got, want) {
		t.Errorf("got %q, expected %q", got, want)
	}
	got, _ = feed(d, []byte("\r\nb\r\n"), 0)
	if want := []string{`{"log":"b\r"}`}; !slices.Equal(got, want) {
		t.Errorf("at the start got %q, expected %q", got, want)
	}
}

func TestBrokenJSONTakesNothingWithIt(t *testing.T) {
	f := func(in string, want []string, invalid, other uint64) {
		t.Helper()
		env := plugintest.Env(t)
		d := &decoder{Reader: reader(t, env)}
		got, left := feed(d, []byte(in), 0)
		if !slices.Equal(got, want) || len(left) > 0 {
			t.Errorf("%q gives %q and leaves %q, expected %q", in, got, left, want)
		}
		if n := plugintest.Rejected(env, "invalid_json"); n != invalid {
			t.Errorf("%q: %d were counted as invalid, expected %d", in, n, invalid)
		}
		if n := plugintest.Rejected(env, "not_a_record"); n != other {
			t.Errorf("%q: %d were counted as no record, expected %d", in, n, other)
		}
	}
	f("{\"a\":1}\nhello there\n{\"b\":2}\n", []string{`{"a":1}`, `{"b":2}`}, 1, 0)
	f("{bad\n{\"b\":2}\n", []string{`{"b":2}`}, 1, 0)
	f("{\"a\":1}\n123\n\"s\"\n{\"b\":2}\n", []string{`{"a":1}`, `{"b":2}`}, 0, 2)
	f("{\"a\":1}]\n{\"b\":2}\n", []string{`{"a":1}`, `{"b":2}`}, 1, 0)
	f("{\"a\" 1}\n{\"b\":2}\n", []string{`{"b":2}`}, 1, 0)
	f("{\"a\":}}}{{{", nil, 1, 0)
	f(strings.Repeat("[", 1000)+"\n{\"b\":2}\n", []string{`{"b":2}`}, 1, 0)
}

func TestUnescape(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := string(unescape(in)); got != want {
			t.Errorf("unescape(%q) = %q, expected %q", in, got, want)
		}
	}
	f(`\n`, "\n")
	f(`a\tb\\c\q`, "a\tb\\cq")
	f(`\r\n`, "\r\n")
	f(`x\`, "x")
	f(`\`, "")
}

func TestOptions(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		_, err := tryReader(withParser(plugintest.Env(t)), keysAndValues...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, expected one with %q", keysAndValues, err, want)
		}
	}
	f(`"xml" is not one of json, none`, "format", "xml")
	f(`"zz" is not defined`, "parser", "zz")
	f("separator is empty", "separator", `\`)
	f("not a number of kilobytes", "chunk_size", "big")
	f("must be from 1", "chunk_size", "0")
	f("must be from 1", "chunk_size", "2000000")

	size := func(limit int, keysAndValues ...string) {
		t.Helper()
		if r := reader(t, plugintest.Env(t), keysAndValues...); r.limit != limit {
			t.Errorf("with %q the buffer is %d bytes, expected %d", keysAndValues, r.limit, limit)
		}
	}
	size(32767)
	size(65535, "buffer_size", "64")
	size(65535, "buffer_size", "64k")
	size(1<<20-1, "buffer_size", "1M")
	size(65535, "chunk_size", "64")
	size(65535, "chunk_size", "64", "buffer_size", "32")
}

// TestWorkGrowsWithTheDataOnly sends a long value in small pieces, which must
// not be looked at again and again.
func TestWorkGrowsWithTheDataOnly(t *testing.T) {
	for _, text := range []string{
		`{"a":"` + strings.Repeat("x", 1<<20) + `"}`,
		`[` + strings.Repeat(`{"k":[1]},`, 1<<17) + `1]`,
		`"` + strings.Repeat(`\"`, 1<<19) + `"`,
		strings.Repeat("1", 1<<20),
	} {
		d := &decoder{Reader: reader(t, plugintest.Env(t))}
		b := event.NewBatch("t")
		data := []byte(text)
		looked := 0
		for end := 100; end < len(data); end += 100 {
			before := d.values.try
			if used := d.decode(b, data[:end], 1); used > 0 {
				break
			}
			if d.values.try != before {
				looked += end
			}
		}
		if looked > 4*len(data) {
			t.Errorf("of %.20s… %d bytes were parsed to read %d", data, looked, len(data))
		}
		b.Free()
	}
}

func FuzzDecodeJSON(f *testing.F) {
	for _, s := range []string{`{"a":1}{"b":[2]}`, "{\"a\":1}\nx\n{\"b\":2}", `[1,{"a":"\"}"}],"x" 12 `, "{{{\n]]]"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		env := plugintest.Env(t)
		r := reader(t, env)
		whole, left := feed(&decoder{Reader: r}, data, 0)
		if len(plugintest.Counters(env)) > 0 {
			// What is broken may be skipped differently.
			feed(&decoder{Reader: r}, data, 1+max(0, piece)%64)
			return
		}
		parts, leftParts := feed(&decoder{Reader: r}, data, 1+max(0, piece)%64)
		if len(plugintest.Counters(env)) > 0 {
			return
		}
		if !slices.Equal(whole, parts) || string(left) != string(leftParts) {
			t.Errorf("whole: %q left %q; in parts: %q left %q", whole, left, parts, leftParts)
		}
	})
}

func FuzzDecodeText(f *testing.F) {
	f.Add([]byte("a\n\nb\r\nc"), "\n", 2)
	f.Add([]byte("aENDbENENDc"), "END", 1)
	f.Fuzz(func(t *testing.T, data []byte, separator string, piece int) {
		if separator == "" || strings.HasPrefix(string(data), "\n") || strings.HasPrefix(string(data), "\r") {
			return
		}
		r := reader(t, plugintest.Env(t), "format", "none")
		r.separator = []byte(separator)
		var want []string
		parts := strings.Split(string(data), separator)
		for _, p := range parts[:len(parts)-1] {
			if p != "" {
				want = append(want, plugintest.JSON(logRecord(event.NewBatch("t"), []byte(p))))
			}
		}
		got, left := feed(&decoder{Reader: r}, data, 0)
		if !slices.Equal(got, want) || string(left) != parts[len(parts)-1] {
			t.Errorf("%q cut at %q gives %q and leaves %q, expected %q", data, separator, got, left, want)
		}
		feed(&decoder{Reader: r}, data, 1+max(0, piece)%16)
	})
}

func BenchmarkDecodeJSON(b *testing.B) {
	line := `{"time":"2024-05-06T07:08:09.123Z","level":"info","msg":"a line of a log that is not too short","n":12345}` + "\n"
	bench(b, []byte(strings.Repeat(line, 100)))
}

func BenchmarkDecodeText(b *testing.B) {
	line := "2024-05-06T07:08:09.123Z info a line of a log that is not too short\n"
	bench(b, []byte(strings.Repeat(line, 100)), "format", "none")
}

func bench(b *testing.B, data []byte, keysAndValues ...string) {
	d := &decoder{Reader: reader(b, plugintest.Env(b), keysAndValues...)}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		batch := event.NewBatch("t")
		d.decode(batch, data, 1)
		batch.Free()
	}
}
