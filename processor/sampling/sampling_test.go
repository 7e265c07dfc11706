package sampling

import (
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "type", "probabilistic") }

func TestLogsStayAndTheLogSaysSo(t *testing.T) {
	env, log := plugintest.LoggedEnv(t)
	plugintest.NewFilter(t, Def(), env, "type", "tail")
	if !strings.Contains(log.String(), "log_sampling") {
		t.Errorf("the log does not name what is for logs: %s", log)
	}
	records := []string{`{"a":1}`, `{}`}
	if got := plugintest.Filter(t, Def(), records, "type", "probabilistic", "debug", "on"); !slices.Equal(got, records) {
		t.Errorf("the records are %q, want %q", got, records)
	}
}

func TestOptions(t *testing.T) {
	scalar := option.Value{Text: "40"}
	m := option.Value{Shape: option.Map, Props: []option.Property{{Key: "sampling_percentage", Value: scalar}}}
	list := option.Value{Shape: option.List, Items: []option.Value{m}}
	nested := option.Value{Shape: option.Map, Props: []option.Property{{Key: "a", Value: m}}}
	f := func(ok bool, props ...option.Property) {
		t.Helper()
		ps := option.Decode((&Config{}).Fields(), props, "processor sampling", option.Pos{})
		if ps.HasErrors() == ok {
			t.Errorf("%+v: problems %v, want errors: %v", props, ps, !ok)
		}
	}
	typ := option.Prop("type", "Probabilistic")
	f(true, typ)
	f(true, typ, option.Property{Key: "sampling_settings", Value: m}, option.Property{Key: "conditions", Value: list})
	f(false)
	f(false, option.Prop("type", "head"))
	f(false, typ, option.Property{Key: "sampling_settings", Value: list})
	f(false, typ, option.Property{Key: "sampling_settings", Value: nested})
	f(false, typ, option.Property{Key: "conditions", Value: m})
	f(false, typ, option.Property{Key: "conditions", Value: option.Value{Shape: option.List, Items: []option.Value{scalar}}})
}
