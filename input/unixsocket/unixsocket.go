// Package unixsocket is the input unix_socket: JSON or lines of text over a
// unix socket.
package unixsocket

import (
	"context"
	_ "embed"
	"errors"
	"io"
	"io/fs"

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
		Name:    "unix_socket",
		Summary: "JSON or lines of text over a unix socket",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
		Push:    true,
	}
}

// Config is the options of the input.
type Config struct {
	mode        string
	path        string
	permissions fs.FileMode
	data        rawinput.Options
	server      netx.Server
	tls         netx.TLS
}

// The modes.
const (
	modeStream = "STREAM"
	modeDgram  = "DGRAM"
)

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	fields := []option.Field{
		option.Enum(&c.mode, "socket_mode", modeStream, []string{modeStream, modeDgram},
			"Whether the socket takes connections or datagrams. Other words count as STREAM, as in Fluent Bit.").WithLenient(),
		option.String(&c.path, "socket_path", "",
			"Path of the socket. A socket that a dead process left behind is replaced.").WithRequired(),
		netx.Permissions(&c.permissions, "socket_permissions", "",
			"Permissions of the socket's file as an octal number, such as 0660. Without it the umask decides."),
	}
	fields = append(fields, c.data.Fields()...)
	fields = append(fields, c.server.Fields()...)
	return append(fields, c.tls.ServerFields()...)
}

// New makes the input.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	if c.path == "" {
		return nil, option.At("socket_path", errors.New("option socket_path is empty"))
	}
	r, err := rawinput.NewReader(&c.data, rawinput.Env{
		Tag: env.OwnTag(), Log: env.Log, Reject: env.Stats.Reject,
	}, env.Parser)
	if err != nil {
		return nil, err
	}
	network, options := "unix", netx.ListenOptions{Mode: c.permissions, TLS: &c.tls}
	if c.mode == modeDgram {
		network, options.TLS = "unixgram", nil
	}
	e, err := r.Endpoint(network, c.path, c.server, options)
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
