//go:build !race

// The race detector makes pools forget at random, so allocations are counted without it.

package multiline

import (
	"context"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// sink frees what it is given.
type sink struct{}

func (sink) Emit(_ context.Context, b *event.Batch) error { b.Free(); return nil }

func quietFilter(t testing.TB, keysAndValues ...string) plugin.Filter {
	env := plugintest.Env(t)
	env.Emitter = func(string) plugin.Emitter { return sink{} }
	return plugintest.NewFilter(t, Def(), env, keysAndValues...)
}

const plainRecord = `{"log":"2024-05-01 10:00:00 INFO a line of text","stream":"stdout","container_name":"cart","source":"stdout"}`

func TestAllocations(t *testing.T) {
	f := func(name, record string, keysAndValues ...string) {
		t.Helper()
		if n := plugintest.AllocsPerEvent(t, quietFilter(t, keysAndValues...), record); n > 0.02 {
			t.Errorf("%s: %.3f allocations per event, want about none", name, n)
		}
	}
	f("whole records", plainRecord, "mode", "partial_message", "multiline.key_content", "log")
	f("parts", part("x", 1, false, "a part"), "mode", "partial_message", "multiline.key_content", "log")
	f("buffered, alone", plainRecord, "multiline.parser", "java", "multiline.key_content", "log")
	f("buffered, joined", line(1, at1), "multiline.parser", "java", "multiline.key_content", "log")
	f("buffered, starts", line(1, thrown), "multiline.parser", "java", "multiline.key_content", "log")
	f("unbuffered, alone", plainRecord, "multiline.parser", "java", "multiline.key_content", "log", "buffer", "off")
	f("unbuffered, starts", line(1, thrown), "multiline.parser", "java", "multiline.key_content", "log", "buffer", "off")
}

// bench filters batches of 100 records made of the texts in turn.
func bench(b *testing.B, texts []string, keysAndValues ...string) {
	f := quietFilter(b, keysAndValues...)
	var packed []event.Value
	for _, text := range texts {
		packed = append(packed, plugintest.Value(b, text))
	}
	b.ReportAllocs()
	for b.Loop() {
		batch := event.NewBatch("test")
		for i := range 100 {
			batch.Add(int64(i)).SetRecord(packed[i%len(packed)])
		}
		if err := f.Filter(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		batch.Free()
	}
}

var traces = []string{line(0, "a line"), line(1, thrown), line(2, at1), line(3, at2), line(4, at1)}

func BenchmarkWhole(b *testing.B) {
	bench(b, []string{plainRecord}, "mode", "partial_message", "multiline.key_content", "log")
}

func BenchmarkParts(b *testing.B) {
	text := strings.Repeat("x", 16<<10)
	bench(b, []string{part("x", 1, false, text), part("x", 2, false, text), part("x", 3, true, text)}, "mode", "partial_message", "multiline.key_content", "log")
}

func BenchmarkPlainLines(b *testing.B) {
	bench(b, []string{plainRecord}, "multiline.parser", "java", "multiline.key_content", "log")
}

func BenchmarkTraces(b *testing.B) {
	bench(b, traces, "multiline.parser", "java", "multiline.key_content", "log")
}

func BenchmarkTracesUnbuffered(b *testing.B) {
	bench(b, traces, "multiline.parser", "java", "multiline.key_content", "log", "buffer", "off")
}
