// Package null is the output null: it throws events away.
package null

import (
	"context"
	_ "embed"
	"io"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/encode"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the output.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindOutput,
		Name:    "null",
		Summary: "Throws events away",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
		Metrics: true,
	}
}

// Config is the options of the output.
type Config struct{ encode encode.Config }

// Fields binds the options.
func (c *Config) Fields() []option.Field { return c.encode.Fields(encode.Msgpack) }

// New makes the output.
func (c *Config) New(env *plugin.Env) (plugin.Output, error) {
	return &Output{encoder: c.encode.NewEncoder(env.Service.EscapeUnicode)}, nil
}

// Output throws events away, after it has encoded them if a format asks for it.
type Output struct{ encoder *encode.Encoder }

var _ plugin.Output = (*Output)(nil)

// Send forgets c.
func (o *Output) Send(_ context.Context, c *event.Chunk) error {
	if c.Signal != event.Logs || o.encoder.Format() == encode.Msgpack {
		return nil
	}
	return o.encoder.Write(io.Discard, c)
}
