package http

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func testInput(t testing.TB, kv ...string) *Input {
	t.Helper()
	env := plugintest.Env(t)
	env.Log = slog.New(slog.DiscardHandler)
	in, err := plugintest.TryInput(Def(), env, kv...)
	if err != nil {
		t.Fatal(err)
	}
	return in.(*Input)
}

var request = &http.Request{RequestURI: "/", Header: http.Header{"X-Forwarded-For": {"1.2.3.4"}}, Host: "h"}

// freeing is an emitter that only frees.
type freeing struct{}

func (freeing) Emit(_ context.Context, b *event.Batch) error { b.Free(); return nil }

func TestParsingDoesNotAllocateForEachRecord(t *testing.T) {
	for _, body := range []string{
		strings.Repeat(`{"level":"info","msg":"request handled","n":1.5}`+"\n", 5000),
		"[" + strings.TrimSuffix(strings.Repeat(`{"level":"info","msg":"request handled","n":1.5},`, 5000), ",") + "]",
	} {
		in := testInput(t)
		b := []byte(body)
		n := testing.AllocsPerRun(20, func() {
			p := newParser(in, request)
			if err := p.json(b); err != nil {
				t.Error(err)
			}
			_ = p.emit(context.Background(), freeing{}, nil)
		})
		if n > 50 {
			t.Errorf("%v allocations for 5000 records", n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	in := testInput(b)
	body := []byte(strings.Repeat(`{"level":"info","ts":"2023-11-14T22:13:20.123Z","msg":"request handled in 15 ms","method":"GET","path":"/api/v1/users/17","status":200,"request_id":"0123456789abcdef"}`+"\n", 5000))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		p := newParser(in, request)
		if err := p.json(body); err != nil {
			b.Fatal(err)
		}
		_ = p.emit(context.Background(), freeing{}, nil)
	}
}

func FuzzParser(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `[{"a":1},5]`, `{"a":1}{"b":`, `a=1&b=%20`, `"x"`, `{"k":"t"}[{"k":"u"}]`} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	in := testInput(f, "tag_key", "k", "add_remote_addr", "on", "add_http_headers", "on")
	f.Fuzz(func(t *testing.T, body []byte, form bool) {
		p := newParser(in, request)
		if form {
			_ = p.form(body)
		} else {
			_ = p.json(body)
		}
		for _, b := range p.batches() {
			for i := range b.Events {
				rec := b.Events[i].Record()
				if v, rest, err := event.Next(rec); err != nil || len(rest) > 0 || v.Kind() != event.KindMap {
					t.Fatalf("%q became the record %x: %v", body, []byte(rec), err)
				}
			}
			b.Free()
		}
	})
}
