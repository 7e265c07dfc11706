package metrics

import (
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// all are the processors with options that each accepts.
var all = []struct {
	def     *plugin.Def
	options []string
}{
	{Labels(), []string{"insert", "a b c", "update", "a b", "upsert", "a b", "delete", "a", "delete", "b", "hash", "c"}},
	{Selector(), []string{"metric_name", "/x.*/", "action", "EXCLUDE", "operation_type", "substring"}},
	{Selector(), []string{"context", "delete_label_value", "label", "name x"}},
	{CumulativeToDelta(), []string{"initial_value", "Auto", "max_staleness", "10m", "drop_first", "off", "drop_on_reset", "no", "max_series", "5"}},
	{TDA(), []string{"window_size", "5", "min_points", "1", "embed_dim", "1", "embed_delay", "2", "threshold", "0.5"}},
}

func TestDefinitions(t *testing.T) {
	for _, p := range all {
		t.Run(p.def.Name, func(t *testing.T) { plugintest.Definition(t, p.def, p.options...) })
	}
}

func TestLogsStayAndTheLogSaysSo(t *testing.T) {
	for _, p := range all {
		env, log := plugintest.LoggedEnv(t)
		plugintest.NewFilter(t, p.def, env, p.options...)
		if !strings.Contains(log.String(), "works on metrics") {
			t.Errorf("%s does not warn: %s", p.def.Name, log)
		}
		records := []string{`{"a":1}`, `{}`}
		if got := plugintest.Filter(t, p.def, records, p.options...); !slices.Equal(got, records) {
			t.Errorf("%s makes %q of %q", p.def.Name, got, records)
		}
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	f := func(def *plugin.Def, kv ...string) {
		t.Helper()
		if _, err := plugintest.TryFilter(def, plugintest.Env(t), kv...); err == nil {
			t.Errorf("%s accepts %q", def.Name, kv)
		}
	}
	f(Labels(), "insert", "a")
	f(Selector())
	f(Selector(), "metric_name", "/(/")
	f(Selector(), "metric_name", "a", "action", "keep")
	f(Selector(), "context", "delete_label_value", "label", "a")
	f(CumulativeToDelta(), "initial_value", "first")
	f(TDA(), "unknown", "1")
}
