// Package null is the output that keeps nothing.
package null

import (
	"context"
	_ "embed"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the plugin.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindOutput,
		Name:    "null",
		Summary: "Throw events away",
		Doc:     doc,
		Metrics: true,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config has the one option that Fluent Bit's plugin has; it changes nothing.
type Config struct {
	Format string
}

// Fields implements plugin.Config.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.String(&c.Format, "format", "", "Accepted as in Fluent Bit; nothing is formatted."),
		option.Custom("json_date_key", option.TypeString, "", "Accepted as in Fluent Bit.", ignore),
		option.Custom("json_date_format", option.TypeString, "", "Accepted as in Fluent Bit.", ignore),
	}
}

func ignore(option.Value) error { return nil }

// New implements plugin.OutputConfig.
func (c *Config) New(*plugin.Env) (plugin.Output, error) { return Output{}, nil }

// Output is the working plugin.
type Output struct{}

var _ plugin.Output = Output{}

// Send implements plugin.Output.
func (Output) Send(context.Context, *event.Chunk) error { return nil }
