// Package health is the input health: whether a TCP server takes connections.
package health

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/interval"
	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the input.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindInput,
		Name:    "health",
		Summary: "Whether a TCP server takes connections",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the input.
type Config struct {
	host     string
	port     int
	alert    bool
	addHost  bool
	addPort  bool
	interval interval.Options
	client   netx.Client
	tls      netx.TLS
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	fields := []option.Field{
		option.String(&c.host, "host", "", "Name or address of the server.").WithRequired(),
		option.Int(&c.port, "port", 0, "Port of the server."),
		option.Bool(&c.alert, "alert", false, "Make records only while the server does not take connections."),
		option.Bool(&c.addHost, "add_host", false, "Add the host to the record as hostname."),
		option.Bool(&c.addPort, "add_port", false, "Add the port to the record."),
	}
	fields = append(fields, c.interval.Fields()...)
	fields = append(fields, c.client.Fields()...)
	return append(fields, c.tls.Fields()...)
}

// New makes the input.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	if c.host == "" {
		return nil, option.At("host", errors.New("option host is empty"))
	}
	if c.port < 0 || c.port > 65535 {
		return nil, option.At("port", fmt.Errorf("port is %d; it must be from 1 to 65535", c.port))
	}
	if c.port == 0 {
		env.Log.Warn("no port is given, so the server will never count as alive")
	}
	d, err := netx.NewDialer(&c.client, &c.tls, env.Log)
	if err != nil {
		return nil, err
	}
	return &Input{
		tag: env.OwnTag(), log: env.Log, dialer: d,
		host: c.host, port: c.port, alert: c.alert, addHost: c.addHost, addPort: c.addPort, every: c.interval.Duration(),
	}, nil
}

// Input connects again and again.
type Input struct {
	tag              string
	log              *slog.Logger
	dialer           *netx.Dialer
	host             string
	port             int
	alert            bool
	addHost, addPort bool
	every            time.Duration
}

var (
	_ plugin.Input   = (*Input)(nil)
	_ plugin.Starter = (*Input)(nil)
)

// Start reads the certificates, if there are any.
func (in *Input) Start(context.Context) error { return in.dialer.Load() }

// Run connects in every interval.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	return interval.Run(ctx, in.every, func() error {
		alive := in.connect(ctx)
		if ctx.Err() != nil || alive && in.alert {
			return nil
		}
		b := event.NewBatch(in.tag)
		e := b.Add(time.Now().UnixNano())
		e.Append(b.String("alive"), b.Bool(alive))
		if in.addHost {
			e.Append(b.String("hostname"), b.String(in.host))
		}
		if in.addPort {
			e.Append(b.String("port"), b.Int(int64(in.port)))
		}
		return out.Emit(ctx, b)
	})
}

// connect tells whether the server takes a connection.
func (in *Input) connect(ctx context.Context) bool {
	conn, err := in.dialer.Dial(ctx, "tcp", netx.HostPort(in.host, in.port))
	if err != nil {
		in.log.Debug("the server takes no connection", "error", err)
		return false
	}
	_ = conn.Close()
	return true
}
