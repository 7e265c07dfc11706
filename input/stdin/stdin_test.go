//go:build unix

package stdin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

// words parses "key value", and "0" as a record at time 0.
type words struct{}

func (words) Parse(line []byte, e *event.Event) bool {
	b := e.Batch()
	if string(line) == "0" {
		e.Time = 0
		return true
	}
	k, v, ok := bytes.Cut(line, []byte(" "))
	if ok {
		e.SetFields([]event.Field{{Key: b.Text(k), Val: b.Text(v)}})
	}
	return ok
}

func env(t testing.TB) *plugin.Env {
	e := plugintest.Env(t)
	e.Parser = func(name string) (plugin.Parser, error) {
		if name != "words" {
			return nil, fmt.Errorf("parser %q is not defined", name)
		}
		return words{}, nil
	}
	return e
}

// open makes an input and the pipe that it reads instead of standard input.
func open(t testing.TB, e *plugin.Env, keysAndValues ...string) (*Input, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	in := plugintest.NewInput(t, Def(), e, keysAndValues...).(*Input)
	in.file = r
	return in, w
}

func TestContract(t *testing.T) {
	old := os.Stdin
	t.Cleanup(func() { os.Stdin = old })
	plugintest.Input(t, plugintest.InputSuite{Def: Def(), Open: func(t *testing.T) plugintest.Source {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
		os.Stdin = r
		return plugintest.Source{Feed: func(t *testing.T) {
			if _, err := io.WriteString(w, `{"a":1}`); err != nil {
				t.Fatal(err)
			}
		}}
	}})
}

// read returns the events of a text that is written in pieces.
func read(t *testing.T, e *plugin.Env, text string, piece int, keysAndValues ...string) []plugintest.Event {
	t.Helper()
	plugintest.NoLeaks(t)
	in, w := open(t, e, keysAndValues...)
	var em plugintest.Emitter
	r := plugintest.Run(t, in, &em)
	for len(text) > 0 {
		n := min(piece, len(text))
		if _, err := io.WriteString(w, text[:n]); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	_ = w.Close()
	if err := r.Wait(); !errors.Is(err, plugin.ErrStop) {
		t.Errorf("at the end of the input Run returned %v", err)
	}
	return em.Events()
}

func records(events []plugintest.Event) (all []string) {
	for _, e := range events {
		all = append(all, e.Record)
	}
	return all
}

func TestJSON(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		for _, piece := range []int{1 << 20, 3, 1} {
			if got := records(read(t, env(t), text, piece)); !slices.Equal(got, want) {
				t.Errorf("%.100q in pieces of %d makes %.200q, expected %.200q", text, piece, got, want)
			}
		}
	}
	f("{\"a\":1}\n{\"b\":2}{\"c\":3}\n{\"f\":\n6}\n", `{"a":1}`, `{"b":2}`, `{"c":3}`, `{"f":6}`)
	f(`[1700000000.5, {"d":4}] [[1700000001, {"m":1}], {"e":5}]`, `{"d":4}`, `{"e":5}`)
	f(`{"a":1}`, `{"a":1}`)
	f("")
	f(`{"a":`)
	// What is no record.
	f(`{"a":1} 5 "s" [] [1,2] [1,{"x":1},3] [[1],{"x":1}] ["1",{"x":1}] [-1,{"x":1}] [1e30,{"x":1}] [[1,2],{"x":1}] null {"b":1}`,
		`{"a":1}`, `{"b":1}`)
}

func TestBrokenJSONIsSkipped(t *testing.T) {
	e := env(t)
	got := records(read(t, e, "{\"a\":1}\nnot json\n{\"b\":2}\n{\"c\":", 1<<20))
	if want := []string{`{"a":1}`, `{"b":2}`}; !slices.Equal(got, want) {
		t.Errorf("the records are %q, expected %q", got, want)
	}
	if n, m := plugintest.Rejected(e, "invalid_json"), plugintest.Rejected(e, "unfinished_message"); n != 1 || m != 1 {
		t.Errorf("%d were counted as invalid and %d as unfinished, expected 1 and 1", n, m)
	}
}

func TestTimesAndMetadata(t *testing.T) {
	before := time.Now().UnixNano()
	got := read(t, env(t), `[1700000000.5,{}] [[1700000001,{"m":1}],{}] [0,{}] [4294967295,{}] {}`, 1<<20)
	if len(got) != 5 {
		t.Fatalf("there are %d events", len(got))
	}
	for i, want := range []struct {
		time int64
		meta string
	}{{1700000000500000000, `{}`}, {1700000001e9, `{"m":1}`}, {0, `{}`}, {4294967295e9, `{}`}} {
		if got[i].Time != want.time || got[i].Meta != want.meta {
			t.Errorf("event %d has time %d and metadata %s, expected %d and %s", i, got[i].Time, got[i].Meta, want.time, want.meta)
		}
	}
	if now := got[4].Time; now < before || now > time.Now().UnixNano() {
		t.Errorf("a record without a time has %d", now)
	}
}

func TestLinesWithAParser(t *testing.T) {
	for _, piece := range []int{1 << 20, 2} {
		e := env(t)
		got := read(t, e, "a 1\nbroken\n\nb 2\n0\nc 3", piece, "parser", "words")
		if want := []string{`{"a":"1"}`, `{"b":"2"}`, `{}`, `{"c":"3"}`}; !slices.Equal(records(got), want) {
			t.Errorf("in pieces of %d the records are %q, expected %q", piece, records(got), want)
		}
		if n := plugintest.Rejected(e, "parse_failed"); n != 1 {
			t.Errorf("%d lines were counted as rejected, expected 1", n)
		}
		for _, e := range got {
			if e.Time == 0 {
				t.Error("a time of 0 was kept, which counts as none")
			}
		}
	}
}

func TestWhatIsTooLongIsLeftOut(t *testing.T) {
	f := func(text string, want []string, keysAndValues ...string) {
		t.Helper()
		e := env(t)
		if got := records(read(t, e, text, 1000, keysAndValues...)); !slices.Equal(got, want) {
			t.Errorf("the records are %.100q, expected %q", got, want)
		}
		if n := plugintest.Rejected(e, "message_too_long"); n != 1 {
			t.Errorf("%d were counted as too long, expected 1", n)
		}
	}
	long := strings.Repeat("x", 50000)
	f("{\"a\":1}\n{\"b\":\""+long+"\"}\n{\"c\":3}\n", []string{`{"a":1}`, `{"c":3}`})
	f("a 1\nb "+long+"\nc 3\n", []string{`{"a":"1"}`, `{"c":"3"}`}, "parser", "words")
	f("a 1\nb "+long, []string{`{"a":"1"}`}, "parser", "words")
	if got := records(read(t, env(t), "b "+long+"\n", 1000, "parser", "words", "buffer_size", "60000")); len(got) != 1 {
		t.Errorf("with a larger buffer there are %d records, expected 1", len(got))
	}
}

func TestRecordsAreEmittedBeforeTheEnd(t *testing.T) {
	plugintest.NoLeaks(t)
	in, w := open(t, env(t))
	var em plugintest.Emitter
	r := plugintest.Run(t, in, &em)
	if _, err := io.WriteString(w, `{"a":1}{"b":`); err != nil {
		t.Fatal(err)
	}
	em.Wait(t, 1)
	if err := r.Stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestRecordsThatAreNotTakenAtTheEndAreCounted(t *testing.T) {
	plugintest.NoLeaks(t)
	e := env(t)
	in, w := open(t, e)
	var em plugintest.Emitter
	em.Block()
	r := plugintest.Run(t, in, &em)
	if _, err := io.WriteString(w, `{"a":1}{"b":2}`); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	if err := r.Stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if n := plugintest.Rejected(e, "not_taken"); n != 2 {
		t.Errorf("counters: %v, want 2 for not_taken", plugintest.Counters(e))
	}
}

func TestAReadThatWasStoppedStealsNothing(t *testing.T) {
	plugintest.NoLeaks(t)
	in, w := open(t, env(t))
	if err := plugintest.Run(t, in, &plugintest.Emitter{}).Stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := io.WriteString(w, `{"a":1}`); err != nil {
		t.Fatal(err)
	}
	var em plugintest.Emitter
	plugintest.Run(t, in, &em)
	em.Wait(t, 1)
}

func TestAClosedStandardInputRefusesTheStart(t *testing.T) {
	in, _ := open(t, env(t))
	_ = in.file.Close()
	if err := in.Start(t.Context()); err == nil {
		t.Error("Start returned no error")
	}
}

func TestAnErrorOfReadingEndsTheProcess(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	in, _ := open(t, env(t))
	in.file = dir
	if err := plugintest.Run(t, in, &plugintest.Emitter{}).Wait(); !errors.Is(err, plugin.ErrStop) {
		t.Errorf("Run returned %v", err)
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		_, err := plugintest.TryInput(Def(), env(t), keysAndValues...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, expected one with %q", keysAndValues, err, want)
		}
	}
	f("buffer_size", "buffer_size", "15999")
	f(`"p" is not defined`, "parser", "p")
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":1}[1.5,{"b":2}] [[1,{}],{}] x`), 3)
	f.Add([]byte("[[1700000000,{\"m\":1}],{\"e\":5}]\n\n5"), 1)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		in, _ := open(t, env(t))
		var em plugintest.Emitter
		r := &pieces{data: data, size: 1 + max(0, piece)%64}
		if err := (&decoder{Input: in}).run(t.Context(), r, &em); !errors.Is(err, io.EOF) {
			t.Errorf("the end was not reached: %v", err)
		}
		for _, e := range em.Events() {
			if e.Record[0] != '{' {
				t.Errorf("the record %s is no object", e.Record)
			}
		}
	})
}

// pieces gives data in pieces.
type pieces struct {
	data []byte
	size int
}

func (p *pieces) Read(buf []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(buf, p.data[:min(p.size, len(p.data))])
	p.data = p.data[n:]
	return n, nil
}
