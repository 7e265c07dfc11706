package opentelemetry_envelope

import (
	"testing"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func TestEnvelope(t *testing.T) {
	f := func(meta, want string) {
		t.Helper()
		p := plugintest.NewFilter(t, Def(), plugintest.Env(t))
		got := plugintest.Filtered(t, p, "t", plugintest.Event{Record: `{"a":1}`, Meta: meta}, plugintest.Event{Record: `{"a":1}`, Meta: meta})
		for _, e := range got {
			if e.Meta != want || e.Record != `{"a":1}` {
				t.Errorf("metadata %s becomes %s with %s, want %s", meta, e.Meta, e.Record, want)
			}
		}
		if len(got) != 2 {
			t.Errorf("%d events are left of 2", len(got))
		}
	}
	f("", `{"otlp":{"resource":{},"scope":{}}}`)
	f("{}", `{"otlp":{"resource":{},"scope":{}}}`)
	f(`{"a":1}`, `{"a":1,"otlp":{"resource":{},"scope":{}}}`)
	f(`{"otlp":{"severity_number":9},"a":1}`, `{"otlp":{"severity_number":9,"resource":{},"scope":{}},"a":1}`)
	for _, same := range []string{`{"otlp":{"resource":{"attributes":{"a":1}}}}`, `{"otlp":{"scope":{"name":"x"}}}`, `{"otlp":5}`} {
		f(same, same)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	p := plugintest.NewFilter(t, Def(), plugintest.Env(t))
	if n := plugintest.AllocsPerEvent(t, p, `{"a":1}`); n > 0.01 {
		t.Errorf("%v allocations per event, expected none", n)
	}
}
