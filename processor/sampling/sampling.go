// Package sampling is the processor sampling of Fluent Bit, which chooses
// traces. It leaves logs as they are; the filter sampling is for these.
package sampling

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the processor.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindProcessor,
		Name:    "sampling",
		Summary: "Chooses traces; leaves logs as they are",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the processor.
type Config struct {
	Type  string
	Debug bool
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	*c = Config{}
	return []option.Field{
		option.Enum(&c.Type, "type", "", []string{"probabilistic", "tail", "test"},
			"How traces are chosen: `probabilistic` keeps a percentage, `tail` decides about whole traces by conditions.").WithRequired(),
		option.Bool(&c.Debug, "debug", false, "Print the traces."),
		option.Custom("sampling_settings", option.TypeMap, "",
			"Settings of the type: `sampling_percentage` of `probabilistic`; `decision_wait`, `max_traces` and `legacy_reconcile` of `tail`.", settings),
		option.Custom("conditions", option.TypeList, "", "Conditions of the type `tail`: a list of maps with a `type` each.", conditions),
	}
}

func settings(v option.Value) error {
	if v.Shape != option.Map {
		return fmt.Errorf("the settings must be a map, but here is %s", v.Shape)
	}
	for _, p := range v.Props {
		if p.Value.Shape != option.Scalar {
			return fmt.Errorf("the setting %q must be a single value, but here is %s", p.Key, p.Value.Shape)
		}
	}
	return nil
}

func conditions(v option.Value) error {
	if v.Shape != option.List {
		return fmt.Errorf("the conditions must be a list, but here is %s", v.Shape)
	}
	for _, item := range v.Items {
		if item.Shape != option.Map {
			return fmt.Errorf("a condition must be a map, but here is %s", item.Shape)
		}
	}
	return nil
}

// New makes the processor.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	env.Log.Warn("this processor chooses traces and leaves logs as they are; log_sampling is for logs")
	return Processor{}, nil
}

// Processor leaves logs as they are.
type Processor struct{}

var _ plugin.Filter = Processor{}

// Filter changes nothing.
func (Processor) Filter(context.Context, *event.Batch) error { return nil }
