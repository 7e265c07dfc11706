package metrics

import (
	_ "embed"
	"time"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed cumulative_to_delta.md
var deltaDoc string

// CumulativeToDelta describes the processor cumulative_to_delta.
func CumulativeToDelta() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindProcessor,
		Name:    "cumulative_to_delta",
		Summary: "Turns cumulative metrics into differences; leaves logs as they are",
		Doc:     deltaDoc,
		Config:  func() plugin.Config { return &DeltaConfig{} },
	}
}

// DeltaConfig is the options of the processor cumulative_to_delta.
type DeltaConfig struct {
	InitialValue           string
	DropFirst, DropOnReset bool
	MaxStaleness           time.Duration
	MaxSeries              int
}

// Fields binds the options.
func (c *DeltaConfig) Fields() []option.Field {
	*c = DeltaConfig{}
	return []option.Field{
		option.Enum(&c.InitialValue, "initial_value", "unset", []string{"unset", "auto", "keep", "drop"}, "What is done with the first value of a series; `unset` leaves it to `drop_first`."),
		option.Bool(&c.DropFirst, "drop_first", true, "Drop the first value of a series."),
		option.Bool(&c.DropOnReset, "drop_on_reset", true, "Drop a value that is lower than the one before."),
		option.Seconds(&c.MaxStaleness, "max_staleness", "1h", "How long a series is remembered after its last value; 0 is for ever."),
		option.Int(&c.MaxSeries, "max_series", 65536, "How many series are remembered; 0 is any number."),
	}
}

// New makes the processor.
func (c *DeltaConfig) New(env *plugin.Env) (plugin.Filter, error) { return onLogs(env) }
