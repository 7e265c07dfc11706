package engine_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/logging"
	"github.com/kagarilog/kagari/plugin"
)

func TestProcessorsOfMetricsAreAcceptedWithAWarning(t *testing.T) {
	f := func(kind plugin.Kind, signal, name, want string, refused bool) {
		t.Helper()
		b := newBench(t)
		b.input(false, func(context.Context, plugin.Emitter) error { return nil })
		b.defs = append(b.defs, &plugin.Def{Kind: kind, Name: "labels", Config: func() plugin.Config { return filterConfig{&script{}} }})
		b.cfg.Inputs[0].Processors = []*config.Processor{{Name: name, Signal: signal}}
		_, ps := engine.New(b.cfg, plugin.NewRegistry(b.defs...), engine.Options{Handler: logging.NewHandler(io.Discard, slog.LevelError)})
		var got strings.Builder
		for _, p := range ps {
			got.WriteString(p.Message)
		}
		if ps.HasErrors() != refused || !strings.Contains(got.String(), want) || want == "" && len(ps) > 0 {
			t.Errorf("%s %s below %s: problems %v, want one with %q and an error: %v", kind, name, signal, ps, want, refused)
		}
	}
	f(plugin.KindProcessor, "logs", "labels", "", false)
	f(plugin.KindProcessor, "metrics", "labels", "the metrics stay as they are", false)
	f(plugin.KindProcessor, "traces", "labels", "the traces stay as they are", false)
	f(plugin.KindProcessor, "metrics", "label", "no processor or filter", true)
	f(plugin.KindFilter, "logs", "labels", "", false)
	f(plugin.KindFilter, "metrics", "labels", "works on logs", true)
}

func TestProcessorsAreCountedAsInFluentBit(t *testing.T) {
	b := newBench(t)
	var got collector
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		if _, err := emit(ctx, out, "t", 0, 4); err != nil {
			return err
		}
		return plugin.ErrStop
	}, "alias", "mine")
	drop := func(n int) func() plugin.Config {
		return func() plugin.Config {
			return filterConfig{&script{filter: func(b *event.Batch) error {
				if n == 0 {
					return errors.New("no")
				}
				b.Events = b.Events[:n]
				return nil
			}}}
		}
	}
	b.defs = append(b.defs, &plugin.Def{Kind: plugin.KindProcessor, Name: "three", Config: drop(3)},
		&plugin.Def{Kind: plugin.KindFilter, Name: "fail", Config: drop(0)})
	b.output(got.send, "match", "*", "alias", "theirs")
	b.cfg.Inputs[0].Processors = []*config.Processor{{Name: "three", Signal: "logs"}}
	b.cfg.Outputs[0].Processors = []*config.Processor{{Name: "fail", Signal: "logs"}, {Name: "three", Signal: "logs"}}
	e := b.engine()
	if _, err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, m := range e.Metrics() {
		if strings.HasPrefix(m.Name, "fluentbit_filter_") {
			t.Errorf("a processor counts as a filter: %v", m)
		}
		if strings.HasPrefix(m.Name, "fluentbit_processor_") {
			key := strings.TrimSuffix(strings.TrimPrefix(m.Name, "fluentbit_processor_"), "_total")
			for _, l := range m.Labels {
				key += " " + l.Value
			}
			counts[key] = m.Value
		}
	}
	for key, want := range map[string]float64{
		"invocations input mine three 0 logs": 1, "errors input mine three 0 logs": 0, "items_in input mine three 0 logs": 4,
		"items_out input mine three 0 logs": 3, "items_drop input mine three 0 logs": 1, "items_add input mine three 0 logs": 0,
		"invocations output theirs fail 0 logs": 1, "errors output theirs fail 0 logs": 1, "items_out output theirs fail 0 logs": 3,
		"items_in output theirs three 1 logs": 3, "items_drop output theirs three 1 logs": 0,
	} {
		if n, ok := counts[key]; !ok || n != want {
			t.Errorf("%s is %v, want %v; all are %v", key, n, want, counts)
		}
	}
}
