package multiline_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/parser"
	"github.com/kagarilog/kagari/parser/multiline"
)

// now is the time at which tests feed their lines.
const now = 1_700_000_000e9

// source is a stream with what comes out of it, as JSON.
type source struct {
	testing.TB
	*multiline.Stream
	batch *event.Batch
	at    int64 // position of the next line
	pos   []int64
}

func newSource(t testing.TB, o multiline.Options, parsers ...*multiline.Parser) *source {
	t.Helper()
	j, err := multiline.NewJoiner(parsers, o)
	if err != nil {
		t.Fatal(err)
	}
	s := &source{TB: t, Stream: j.NewStream(), batch: event.NewBatch("t")}
	s.Emitted = func(_ *event.Event, pos int64) { s.pos = append(s.pos, pos) }
	return s
}

func builtin(names ...string) (parsers []*multiline.Parser) {
	for _, name := range names {
		parsers = append(parsers, multiline.NewBuiltin(name))
	}
	return parsers
}

// feed feeds lines and returns how many were cut.
func (s *source) feed(lines ...string) (cut int) {
	for _, line := range lines {
		if s.Line(s.batch, []byte(line), s.at, now) {
			cut++
		}
		s.at += int64(len(line)) + 1
	}
	return cut
}

// event feeds a record and its metadata, in JSON, from a batch of its own.
func (s *source) event(ns int64, meta, record string) bool {
	s.Helper()
	b := event.NewBatch("t")
	defer b.Free()
	e := b.Add(ns)
	e.Meta, _ = packed(s, meta)
	rec, _ := packed(s, record)
	e.SetRecord(rec)
	cut := s.Event(s.batch, e, s.at, now)
	s.at++
	return cut
}

func packed(t testing.TB, text string) (event.Value, error) {
	t.Helper()
	if text == "" {
		return nil, nil
	}
	out, _, err := event.AppendJSON(nil, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return out, nil
}

// take returns the records so far, one per line: the time unless it is now, the
// metadata if there is some, and the record.
func (s *source) take() string {
	var out []byte
	for i := range s.batch.Events {
		e := &s.batch.Events[i]
		if e.Time != now {
			out = fmt.Appendf(out, "%d.%09d ", e.Time/1e9, e.Time%1e9)
		}
		if e.Meta != nil {
			out = append(event.AppendValueJSON(out, e.Meta, event.JSONOptions{}), ' ')
		}
		out = append(event.AppendValueJSON(out, e.Record(), event.JSONOptions{}), '\n')
	}
	s.batch.Free()
	s.batch = event.NewBatch("t")
	return string(out)
}

// want fails the test if the records so far are others.
func (s *source) want(lines ...string) {
	s.Helper()
	want := strings.Join(append(lines, ""), "\n")
	if got := s.take(); got != want {
		s.Errorf("records\n%swant\n%s", got, want)
	}
}

// define makes a parser from keys and values; the value of a rule is its words
// separated by "~".
func define(t testing.TB, keysAndValues ...string) *multiline.Parser {
	t.Helper()
	p, ps := multiline.New(props(keysAndValues...), option.Pos{File: "p.conf", Line: 1}, lineParser)
	if p == nil {
		t.Fatal(ps.Err())
	}
	return p
}

func props(keysAndValues ...string) []option.Property {
	all := []option.Property{option.Prop("name", "own")}
	for kv := range slices.Chunk(keysAndValues, 2) {
		p := option.Prop(kv[0], kv[1])
		if kv[0] == "rule" {
			p.Value = option.Value{Shape: option.List}
			for _, word := range strings.Split(kv[1], "~") {
				p.Value.Items = append(p.Value.Items, option.Value{Text: word, Pos: option.Pos{File: "p.conf", Line: 3, Col: 10}})
			}
		}
		all = append(all, p)
	}
	return all
}

// lineParser knows the parsers json, and head, which splits "app> text".
func lineParser(name string) (multiline.LineParser, error) {
	var p *parser.Parser
	switch name {
	case "json":
		p = parser.NewBuiltin("json")
	case "head":
		p, _ = parser.New("head", []option.Property{option.Prop("format", "regex"), option.Prop("regex", `^(?<app>\w+)> (?<log>.*)`)}, option.Pos{})
	}
	if p == nil {
		return nil, fmt.Errorf("there is no parser %q", name)
	}
	return p, nil
}

func (s *source) pending(want int64) {
	s.Helper()
	got, ok := s.Pending()
	if !ok {
		got = -1
	}
	if got != want {
		s.Errorf("the lowest position that is held is %d, want %d", got, want)
	}
}

func TestPendingIsTheLowestLineThatIsHeld(t *testing.T) {
	s := newSource(t, multiline.Options{}, builtin("cri", "java")...)
	feed := func(line string, want int64) {
		t.Helper()
		s.feed(line)
		s.at = (s.at/10 + 1) * 10
		s.pending(want)
	}
	s.pending(-1)
	feed("2024-04-01T12:00:00.1Z stdout F whole", -1)
	at := s.at
	feed("2024-04-01T12:00:00.2Z stderr P a", at)
	feed("2024-04-01T12:00:00.3Z stdout P b", at)
	feed("2024-04-01T12:00:00.4Z stdout F whole", at)
	feed("2024-04-01T12:00:00.5Z stdout P c", at)
	later := s.at - 40
	feed("2024-04-01T12:00:00.6Z stderr F d", later)
	feed("java.lang.Error: x", later)
	feed("not a line of either", -1)
	if want := []int64{0, 80, at, 160, 240, 260}; !slices.Equal(s.pos, want) {
		t.Errorf("positions of the records %v, want %v", s.pos, want)
	}
}

func TestExpire(t *testing.T) {
	s := newSource(t, multiline.Options{Timeout: 2 * time.Second}, builtin("java")...)
	expire := func(after time.Duration, want ...string) {
		t.Helper()
		s.Expire(s.batch, now+int64(after))
		s.want(want...)
	}
	if _, ok := s.Deadline(); ok {
		t.Error("an empty stream has a deadline")
	}
	s.feed("java.lang.Error: x")
	if ns, ok := s.Deadline(); !ok || ns != now+2e9 {
		t.Errorf("deadline %d, %v", ns, ok)
	}
	expire(time.Second)
	// A later line does not put the deadline off.
	s.Line(s.batch, []byte("\tat a.b(C.java:1)"), 20, now+1e9)
	expire(2*time.Second - 1)
	expire(2*time.Second, `1700000001.000000000 {"log":"java.lang.Error: x\n\tat a.b(C.java:1)\n"}`)
	// What goes on afterwards is a record of its own.
	s.feed("\tat a.b(C.java:2)", "end")
	s.want(`{"log":"\tat a.b(C.java:2)\n"}`, `{"log":"end\n"}`)
	s.feed("java.lang.Error: the clock is set back")
	expire(-time.Hour, `{"log":"java.lang.Error: the clock is set back\n"}`)
	s.pending(-1)
}

func TestTimeoutIsTheLongestOfTheParsers(t *testing.T) {
	short := define(t, "type", "equal", "match_string", "x", "flush_timeout", "600")
	tooShort := define(t, "type", "equal", "match_string", "x", "flush_timeout", "499")
	f := func(want time.Duration, o multiline.Options, parsers ...*multiline.Parser) {
		t.Helper()
		j, err := multiline.NewJoiner(parsers, o)
		switch {
		case want == 0 && (err == nil || !strings.Contains(err.Error(), "the flush timeout of 499ms is too short; use at least 500ms")):
			t.Errorf("error %v", err)
		case want != 0 && (err != nil || j.Timeout() != want):
			t.Errorf("error %v, want a timeout of %v", err, want)
		}
	}
	f(600*time.Millisecond, multiline.Options{}, short, tooShort)
	f(4*time.Second, multiline.Options{}, short, multiline.NewBuiltin("java"))
	f(time.Second, multiline.Options{Timeout: time.Second}, tooShort)
	f(0, multiline.Options{}, tooShort)
	f(0, multiline.Options{Timeout: 499 * time.Millisecond}, short)
	if _, err := multiline.NewJoiner(nil, multiline.Options{}); err == nil {
		t.Error("a joiner without parsers")
	}
}

// A line whose time cannot be read has the time of reading. Fluent Bit puts its
// text in front of the next one.
func TestBadTime(t *testing.T) {
	s := newSource(t, multiline.Options{}, builtin("docker")...)
	s.feed(`{"log":"a\n","time":"yesterday"}`, `{"log":"b\n","time":"2024-04-01T12:00:00Z"}`)
	s.want(`{"log":"a\n","time":"yesterday"}`, `1711972800.000000000 {"log":"b\n","time":"2024-04-01T12:00:00Z"}`)
}

// Fluent Bit loses lines that are shorter than match_string.
func TestShortLinesOfEndsWith(t *testing.T) {
	s := newSource(t, multiline.Options{}, define(t, "type", "endswith", "match_string", "END"))
	s.feed("a", "", "b END", "END")
	s.want(`{"log":"a\nb END\n"}`, `{"log":"END\n"}`)
}

func TestEmptyFirstLineOfARecord(t *testing.T) {
	s := newSource(t, multiline.Options{KeyContent: "log"}, define(t, "type", "regex", "rule", "start_state~/^(A|$)/~cont", "rule", "cont~/^ /~cont"))
	for _, record := range []string{`{"log":"","i":1}`, `{"log":"","i":2}`, `{"log":" x","i":3}`, `{"log":"A","i":4}`} {
		s.event(now, "", record)
	}
	s.want(`{"log":"","i":1}`, `{"log":" x","i":2}`)
}

func TestManyGroups(t *testing.T) {
	s := newSource(t, multiline.Options{}, define(t, "type", "equal", "match_string", "end", "parser", "json", "key_content", "text", "key_group", "id"))
	s.feed(`{"text":"none"}`)
	const groups = 64
	for i := range groups {
		s.feed(fmt.Sprintf(`{"id":"%d","text":"a"}`, i))
	}
	s.want()
	s.feed(`{"id":"0","text":"b"}`, `{"id":"64","text":"c"}`)
	s.want(`{"id":"0","text":"ab"}`)
	s.feed(`{"id":"65","text":"c"}`)
	s.want(`{"id":"1","text":"a"}`)
	s.feed(`{"text":"end"}`)
	s.want(`{"text":"noneend"}`)
	s.Flush(s.batch, now)
	if n := strings.Count(s.take(), "\n"); n != groups {
		t.Errorf("%d records, want %d", n, groups)
	}
}

func TestMetadata(t *testing.T) {
	trace := event.AppendMapHeader(nil, 2)
	trace = event.AppendBinary(event.AppendString(trace, "trace_id"), []byte{0xab, 1})
	trace = event.AppendString(event.AppendString(trace, "a"), "b")
	f := func(name string, want string, metas ...string) {
		t.Run(name, func(t *testing.T) {
			s := newSource(t, multiline.Options{KeyContent: "log", BufferLimit: 30}, builtin("java")...)
			texts := []string{"x.Error: y", " at a", " at b", " at 0123456789"}
			for i, meta := range metas {
				s.event(5e9, meta, fmt.Sprintf(`{"log":%q}`, texts[i]))
			}
			s.Flush(s.batch, now)
			s.want("5.000000000 " + want)
		})
	}
	f("each pair once", `{"a":1,"b":{"c":[2]},"d":3} {"log":"x.Error: y\n at a\n at b"}`, `{"a":1}`, `{"a":1,"b":{"c":[2]}}`, `{"b":{"c":[2]},"d":3}`)
	f("the same in all lines", `{"a":1,"b":2} {"log":"x.Error: y\n at a\n at b"}`, `{"a":1,"b":2}`, `{"a":1,"b":2}`, `{"a":1,"b":2}`)
	f("none", `{"log":"x.Error: y\n at a"}`, `{}`, ``)
	f("of a record that is cut", `{"a":1,"multiline_truncated":true} {"log":"x.Error: y\n at a\n at b\n at 012"}`, `{"a":1}`, ``, ``, ``)
	t.Run("binary values", func(t *testing.T) {
		s := newSource(t, multiline.Options{KeyContent: "log"}, builtin("java")...)
		for _, record := range []string{`{"log":"x.Error: y"}`, `{"log":"other"}`} {
			e := s.batch.Add(now)
			s.batch.Events = s.batch.Events[:len(s.batch.Events)-1]
			e.Meta = trace
			rec, _ := packed(t, record)
			e.SetRecord(rec)
			s.Event(s.batch, e, 0, now)
		}
		s.want(`{"trace_id":"ab01","a":"b"} {"log":"x.Error: y"}`, `{"trace_id":"ab01","a":"b"} {"log":"other"}`)
	})
}

// Parts of containers may be longer together than what is held.
func TestPartsWithoutEnd(t *testing.T) {
	s := newSource(t, multiline.Options{BufferLimit: multiline.DefaultBufferLimit}, builtin("cri")...)
	part := strings.Repeat("x", 16<<10)
	const parts = 300
	for i := range parts {
		if cut := s.feed(fmt.Sprintf("2024-04-01T12:00:%02d.1Z stdout P %s", i%60, part)); cut != 0 {
			t.Fatal("a line was cut")
		}
	}
	s.feed("2024-04-01T12:00:00.1Z stdout F end")
	sum := 0
	for i := range s.batch.Events {
		e := &s.batch.Events[i]
		v, _ := e.Get("log")
		text, _ := v.Str()
		if sum += len(text); len(text) > multiline.DefaultBufferLimit {
			t.Errorf("a record of %d bytes", len(text))
		}
		if marked := e.Meta != nil; marked != (i < len(s.batch.Events)-1) {
			t.Errorf("record %d: metadata %v", i, e.Meta)
		}
	}
	if want := parts*len(part) + len("end"); sum != want || len(s.batch.Events) != 3 {
		t.Errorf("%d bytes in %d records, want %d", sum, len(s.batch.Events), want)
	}
}

func TestCutLinesAreCounted(t *testing.T) {
	s := newSource(t, multiline.Options{BufferLimit: 12}, builtin("java")...)
	if n := s.feed("a.Error: b", " at c", "é to long for it", " at 0123456789é", "a.Error: longer", " at d"); n != 5 {
		t.Errorf("%d lines were cut, want 5", n)
	}
	s.want(`{"multiline_truncated":true} {"log":"a.Error: b\n \n"}`, `{"multiline_truncated":true} {"log":"é to long f\n"}`,
		`{"multiline_truncated":true} {"log":" at 01234567\n"}`, `{"multiline_truncated":true} {"log":"a.Error: lon\n"}`)
	s = newSource(t, multiline.Options{BufferLimit: 10}, builtin("java")...)
	s.feed("123456789é")
	s.want(`{"multiline_truncated":true} {"log":"123456789\n"}`)
	s = newSource(t, multiline.Options{}, builtin("java")...)
	if n := s.feed(strings.Repeat("x", 3<<20)); n != 0 {
		t.Error("a line is cut without a limit")
	}
}

// The events that go through are those of the batch when it is the same.
func TestEventsOfTheSameBatch(t *testing.T) {
	s := newSource(t, multiline.Options{KeyContent: "log"}, builtin("java")...)
	for _, record := range []string{`{"log":"a"}`, `{"log":"x.Error: y"}`, `{"log":"\tat z"}`, `{"n":1}`} {
		e := s.batch.Add(now)
		rec, _ := packed(t, record)
		e.SetRecord(rec)
	}
	events := s.batch.Events
	s.batch.Events = nil
	for i := range events {
		s.Event(s.batch, &events[i], int64(i), now)
	}
	s.want(`{"log":"a"}`, `{"log":"x.Error: y\n\tat z"}`, `{"n":1}`)
	if !slices.Equal(s.pos, []int64{0, 1, 3}) {
		t.Errorf("positions %v", s.pos)
	}
}

// FuzzLines checks that no text is lost: apart from line feeds, the records hold
// what the lines do, in the same order.
func FuzzLines(f *testing.F) {
	for i, text := range []string{strings.Join(javaTrace, "\n"), "panic: x\n\ngoroutine 1 [running]:\nmain.main()\n\t/x.go:1\nend", "a\nb \\\nc", "BEGIN\n| a\nEND\n\n| x"} {
		f.Add(text, uint8(i), uint8(i))
	}
	parsers := append(builtin("java", "go", "python", "ruby"),
		define(f, "type", "regex", "rule", "start_state~/^BEGIN/~body", "rule", "body~/^\\|/~body", "rule", "body~/^END/~start_state"),
		define(f, "type", "endswith", "match_string", "\\", "negate", "on"),
		define(f, "type", "equal", "match_string", "END"))
	f.Fuzz(func(t *testing.T, text string, which, flush uint8) {
		s := newSource(t, multiline.Options{}, parsers[int(which)%len(parsers)])
		for i, line := range strings.Split(text, "\n") {
			s.feed(line)
			if flush > 0 && i%int(flush) == 0 {
				s.Flush(s.batch, now)
			}
		}
		s.Flush(s.batch, now)
		s.pending(-1)
		if !slices.IsSorted(s.pos) || len(s.pos) != len(s.batch.Events) {
			t.Errorf("positions %v of %d records", s.pos, len(s.batch.Events))
		}
		var got strings.Builder
		for i := range s.batch.Events {
			v, _ := s.batch.Events[i].Get("log")
			line, _ := v.Str()
			got.Write(line)
		}
		plain := strings.NewReplacer("\n", "")
		if got, want := plain.Replace(got.String()), plain.Replace(text); got != want {
			t.Errorf("the records hold %q, the lines %q", got, want)
		}
		s.batch.Free()
	})
}

func TestARecordAfterARepeatedLineHasItsOwnFields(t *testing.T) {
	s := newSource(t, multiline.Options{KeyContent: "log"}, builtin("python")...)
	for i, text := range []string{"Traceback (most recent call last):", `  File "a"`, "    x()", "E: b", "Traceback (most recent call last):", `  File "b"`} {
		s.event(now, "", fmt.Sprintf(`{"log":%q,"i":%d}`, text, i))
	}
	s.Flush(s.batch, now)
	s.want(`{"log":"Traceback (most recent call last):\n  File \"a\"\n    x()\nE: b","i":0}`,
		`{"log":"Traceback (most recent call last):\n  File \"b\"","i":4}`) // Fluent Bit: "i":3
}

// Metadata that differs from line to line is all kept, each pair once, and does
// not take longer with every line.
func TestManyPairsOfMetadata(t *testing.T) {
	s := newSource(t, multiline.Options{KeyContent: "log"}, builtin("java")...)
	const pairs = 20_000
	var want []byte
	want = event.AppendMapHeader(want, pairs)
	for i := range pairs {
		text := " at x"
		if i == 0 {
			text = "x.Error: y"
		}
		record := event.AppendString(event.AppendString([]byte{0x81}, "log"), text)
		pair := event.AppendInt(event.AppendString(nil, "line"), int64(i))
		want = append(want, pair...)
		for range 2 {
			b := event.NewBatch("t")
			e := b.Add(1)
			e.Meta = append(event.Value{0x82}, slices.Concat(pair, event.AppendInt(event.AppendString(nil, "line"), 0))...)
			e.SetRecord(record)
			s.Event(s.batch, e, int64(i), 1)
			b.Free()
			if i == 0 {
				break
			}
		}
	}
	s.Flush(s.batch, 1)
	if len(s.batch.Events) != 1 || !bytes.Equal(s.batch.Events[0].Meta, want) {
		t.Errorf("%d records, the first with metadata of %d bytes, want %d", len(s.batch.Events), len(s.batch.Events[0].Meta), len(want))
	}
}
