// Package udp is the input udp: JSON or lines of text in datagrams.
package udp

import (
	"context"
	_ "embed"
	"io"

	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/internal/rawinput"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the input.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindInput,
		Name:    "udp",
		Summary: "JSON or lines of text over UDP",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
		Push:    true,
	}
}

// Config is the options of the input.
type Config struct {
	port   netx.Port
	data   rawinput.Options
	server netx.Server
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	fields := c.port.Fields(5170)
	fields = append(fields, c.data.Fields()...)
	fields = append(fields, c.data.PeerFields()...)
	return append(fields, c.server.Fields()...)
}

// New makes the input.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	address, err := c.port.Address()
	if err != nil {
		return nil, err
	}
	r, err := rawinput.NewReader(&c.data, rawinput.Env{
		Tag: env.OwnTag(), Log: env.Log, Reject: env.Stats.Reject,
	}, env.Parser)
	if err != nil {
		return nil, err
	}
	e, err := r.Endpoint("udp", address, c.server, netx.ListenOptions{})
	if err != nil {
		return nil, err
	}
	return &Input{e}, nil
}

// Input listens.
type Input struct{ *rawinput.Endpoint }

var (
	_ plugin.Input   = (*Input)(nil)
	_ plugin.Starter = (*Input)(nil)
	_ io.Closer      = (*Input)(nil)
)

// Run serves until ctx ends.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	return in.Endpoint.Run(ctx, out)
}
