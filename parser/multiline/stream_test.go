package multiline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

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
// separated by "|".
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
			for _, word := range strings.Split(kv[1], "|") {
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

func TestBuiltins(t *testing.T) {
	f := func(name, lines string, want ...string) {
		t.Run(name, func(t *testing.T) {
			s := newSource(t, multiline.Options{}, builtin(strings.Split(name, ",")...)...)
			s.feed(strings.Split(strings.TrimPrefix(lines, "\n"), "\n")...)
			s.Flush(s.batch, now)
			s.want(want...)
		})
	}
	f("cri", `
2024-04-01T12:00:00.100000001Z stdout F whole line
2024-04-01T12:00:00.200000002Z stdout P first 
2024-04-01T12:00:00.300000003Z stderr F other stream
2024-04-01T12:00:00.400000004Z stdout P second 
2024-04-01T12:00:00.500000005Z stdout F third
2024-04-01T12:00:01.6+02:00 stderr F zone
not a container line`,
		`1711972800.100000001 {"time":"2024-04-01T12:00:00.100000001Z","stream":"stdout","_p":"F","log":"whole line"}`,
		`1711972800.300000003 {"time":"2024-04-01T12:00:00.300000003Z","stream":"stderr","_p":"F","log":"other stream"}`,
		`1711972800.200000002 {"time":"2024-04-01T12:00:00.200000002Z","stream":"stdout","_p":"P","log":"first second third"}`,
		`1711965601.600000000 {"time":"2024-04-01T12:00:01.6+02:00","stream":"stderr","_p":"F","log":"zone"}`,
		`{"log":"not a container line"}`)
	f("python", `
begin
Traceback (most recent call last):
  File "/app/shop.py", line 8, in <module>
    sell("tea")
ValueError: out of stock
done`,
		`{"log":"begin\n"}`,
		`{"log":"Traceback (most recent call last):\n  File \"/app/shop.py\", line 8, in <module>\n    sell(\"tea\")\nValueError: out of stock\n"}`,
		`{"log":"done\n"}`)
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
