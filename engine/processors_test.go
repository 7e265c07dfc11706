package engine_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/engine"
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
