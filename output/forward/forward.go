// Package forward is the output that sends events by the forward protocol (see
// package forwardproto) to Fluentd, Fluent Bit, Kagari and others, over TCP,
// TLS or a unix socket, to one server or to several of an upstream file.
//
// A chunk is already in the form of the protocol: what is sent is a header,
// the chunk's own bytes, and options. A node is one server with its pool of
// connections; a balancer chooses among nodes.
package forward

import (
	"context"
	_ "embed" // For the documentation.
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the plugin.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindOutput,
		Name:    "forward",
		Summary: "Fluentd, Fluent Bit and Kagari by the forward protocol",
		Doc:     doc,
		Config:  func() plugin.Config { return new(Config) },
		// An acknowledgement may take as long as the server's own delivery.
		Concurrency: 4,
	}
}

// Config is the options.
type Config struct {
	host          string
	port          int
	ipv6          bool
	unixPath      string
	upstream      string
	fluentdCompat bool
	ackTimeout    time.Duration
	peer          peer
	client        netx.Client
	tls           netx.TLS
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	c.peer = peer{}
	fields := []option.Field{
		option.String(&c.host, "host", "127.0.0.1", "Host of the server."),
		option.Int(&c.port, "port", 24224, "Port of the server."),
		option.Bool(&c.ipv6, "ipv6", false, "Accepted for compatibility. Names are looked up for both kinds of addresses."),
		option.String(&c.unixPath, "unix_path", "",
			"Send to a unix socket with this path. Without effect if there is an `upstream`."),
		option.String(&c.upstream, "upstream", "",
			"File with several servers to share the load. The options of the servers then stand in that file."),
		option.Bool(&c.fluentdCompat, "fluentd_compat", false,
			"Accepted for compatibility. It concerns metrics and traces, which are not sent."),
		option.Seconds(&c.ackTimeout, "ack_response_timeout", "190s",
			"Longest wait for an acknowledgement, as Fluentd has it. 0 means no limit.").WithOurs(),
		option.Words(&c.peer.extra, "add_option", 2, 2,
			"A key and, after a blank, a value to add to the option map of every message."),
	}
	fields = append(fields, c.peer.fields(true)...)
	fields = append(fields, c.client.Fields()...)
	return append(fields, c.tls.Fields()...)
}

// New checks the options and reads the upstream file.
func (c *Config) New(env *plugin.Env) (plugin.Output, error) {
	var nodes []*node
	if c.upstream != "" {
		var err error
		if nodes, err = c.readUpstream(env); err != nil {
			return nil, err
		}
		c.warnUnused(env)
	} else {
		name := fmt.Sprintf("%s:%d", c.host, c.port)
		if c.unixPath != "" {
			name = c.unixPath
		}
		n, err := newNode(c.peer, name, &c.client, &c.tls, c.host, c.port, c.unixPath, env)
		if err != nil {
			return nil, err
		}
		nodes = []*node{n}
	}
	for _, n := range nodes {
		n.ackTimeout = c.ackTimeout
	}
	return &Output{env: env, nodes: nodes, balancer: newBalancer(nodes)}, nil
}

// warnUnused tells of options that Fluent Bit ignores in silence beside an
// upstream file.
func (c *Config) warnUnused(env *plugin.Env) {
	p := &c.peer
	for name, given := range map[string]bool{
		"shared_key": p.sharedKey != "", "empty_shared_key": p.emptyKey, "username": p.user != "", "password": p.password != "",
		"time_as_integer": p.timeAsInteger, "send_options": p.sendOptions, "require_ack_response": p.requireAck,
		"tag": p.tag != "", "compress": p.compress != "text", "add_option": len(p.extra) > 0, "tls": c.tls.On,
	} {
		if given {
			env.Log.Warn("an option has no effect beside an upstream file; write it into the nodes of that file", "option", name)
		}
	}
}

// Output sends chunks to one or more nodes.
type Output struct {
	env      *plugin.Env
	nodes    []*node
	balancer *balancer
	toldMeta atomic.Bool
}

var (
	_ plugin.Output    = (*Output)(nil)
	_ plugin.Starter   = (*Output)(nil)
	_ plugin.Connected = (*Output)(nil)
	_ io.Closer        = (*Output)(nil)
)

// Start reads the files of TLS options.
func (o *Output) Start(context.Context) error {
	for _, n := range o.nodes {
		if err := n.dialer.Load(); err != nil {
			return err
		}
	}
	return nil
}

// Connections is how many are open, to all nodes.
func (o *Output) Connections() int {
	all := 0
	for _, n := range o.nodes {
		all += n.pool.Connections()
	}
	return all
}

// Close closes the connections.
func (o *Output) Close() error {
	var all []error
	for _, n := range o.nodes {
		all = append(all, n.pool.Close())
	}
	return errors.Join(all...)
}

// Send delivers a chunk to one of the nodes.
func (o *Output) Send(ctx context.Context, c *event.Chunk) error {
	if len(o.nodes) == 1 {
		return o.sendTo(ctx, o.nodes[0], c)
	}
	var tried []*standing
	var last error
	for {
		s := o.balancer.pick(time.Now(), tried)
		if s == nil {
			return last
		}
		err := o.sendTo(ctx, s.node, c)
		if err == nil {
			o.balancer.ok(s)
			return nil
		}
		var permanent *plugin.PermanentError
		if ctx.Err() != nil || errors.As(err, &permanent) {
			return err
		}
		rest := o.balancer.failed(s, time.Now())
		o.env.Log.Warn("a node failed and is left alone for a while", "node", s.node.name, "for", rest, "error", err)
		var unsent *unsentError
		if !errors.As(err, &unsent) || partial(err) {
			// The node may have taken it, so that sending it elsewhere at once could
			// double it; that is left to the engine's retry.
			return err
		}
		last = err
		tried = append(tried, s)
	}
}

func (o *Output) sendTo(ctx context.Context, n *node, c *event.Chunk) error {
	lostMeta, err := n.send(ctx, c)
	if lostMeta && !o.toldMeta.Swap(true) {
		o.env.Log.Warn("records have metadata that is not sent; see retain_metadata_in_forward_mode and time_as_integer", "node", n.name, "tag", c.Tag)
	}
	return err
}
