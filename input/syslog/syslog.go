// Package syslog is the input syslog: messages over TCP, UDP or a unix socket,
// in whatever form a parser understands.
//
// A framer finds the messages in a stream; a datagram is one message.
package syslog

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/kagarilog/kagari/event"
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
		Name:    "syslog",
		Summary: "Syslog messages over TCP, UDP or a unix socket",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
		Push:    true,
	}
}

// Config is the options of the input.
type Config struct {
	mode             string
	port             netx.Port
	path             string
	permissions      fs.FileMode
	format           string
	chunkSize        int64
	maxSize          int64
	receiveBuffer    int64
	parser           string
	rawMessageKey    string
	sourceAddressKey string
	server           netx.Server
	tls              netx.TLS
}

// The modes, with the network of each.
const (
	modeUnixTCP = "unix_tcp"
	modeUnixUDP = "unix_udp"
	modeTCP     = "tcp"
	modeUDP     = "udp"
)

// The ways to find messages in a stream.
const (
	formatNewline = "newline"
	formatCounted = "octet_counting"
	formatOctet   = "octet" // the same
)

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	fields := []option.Field{
		option.Enum(&c.mode, "mode", modeUnixUDP, []string{modeUnixTCP, modeUnixUDP, modeTCP, modeUDP},
			"Where messages come from: a port (tcp, udp) or a unix socket with connections (unix_tcp) or datagrams (unix_udp)."),
		option.String(&c.path, "path", "",
			"Path of the unix socket. A socket that a dead process left behind is replaced."),
		netx.Permissions(&c.permissions, "unix_perm", "0644",
			"Permissions of the unix socket's file as an octal number."),
		option.String(&c.parser, "parser", "",
			"Parser for the messages; by default syslog-rfc5424 in the modes tcp and udp and syslog-rfc3164-local in the others, which must be defined then. A message that does not fit is dropped and counted."),
		option.Enum(&c.format, "format", formatNewline, []string{formatNewline, formatCounted, formatOctet},
			"What stands between the messages of a connection: `newline`, or `octet_counting` (RFC 6587), which puts the length in front of each. Other words count as newline, as in Fluent Bit.").WithLenient(),
		option.Size(&c.chunkSize, "buffer_chunk_size", "32768",
			"Size of the buffer of a connection."),
		option.Size(&c.maxSize, "buffer_max_size", "",
			"Size of the largest buffer of a connection; by default that of buffer_chunk_size. A message that does not fit closes the connection."),
		option.Size(&c.receiveBuffer, "receive_buffer_size", "",
			"Size of the system's buffer for what was not read yet. A larger one loses fewer datagrams."),
		option.String(&c.rawMessageKey, "raw_message_key", "",
			"Key under which a record also has the message as it came."),
		option.String(&c.sourceAddressKey, "source_address_key", "",
			"Key under which a record tells where it came from, such as udp://10.0.0.7:51234."),
	}
	fields = append(fields, c.port.Fields(5140)...)
	fields = append(fields, c.server.Fields()...)
	return append(fields, c.tls.ServerFields()...)
}

// bufferMost is the largest buffer that can be asked for.
const bufferMost = 1 << 30

// New makes the input.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	unix := c.mode == modeUnixTCP || c.mode == modeUnixUDP
	stream := c.mode == modeUnixTCP || c.mode == modeTCP
	r := &reader{
		tag: env.OwnTag(), log: env.Log, stats: env.Stats,
		rawKey: c.rawMessageKey, sourceKey: c.sourceAddressKey, counted: c.format != formatNewline,
	}
	most := max(c.chunkSize, c.maxSize)
	if most < 16 || most > bufferMost {
		return nil, fmt.Errorf("buffer_chunk_size and buffer_max_size are %d; they must be from 16 to 1G", most)
	}
	// Fluent Bit keeps one byte of the buffer for itself.
	r.limit = int(most) - 1
	name := c.parser
	if name == "" {
		if name = "syslog-rfc5424"; unix {
			name = "syslog-rfc3164-local"
		}
	}
	var err error
	if r.parser, err = env.Parser(name); err != nil {
		return nil, option.At("parser", fmt.Errorf("find the parser for messages: %w", err))
	}
	if own, ok := r.parser.(interface{ Builtin() bool }); ok && own.Builtin() && c.parser == "" {
		// Without a parsers file Fluent Bit has no default and refuses.
		return nil, fmt.Errorf("the option parser is missing; %s is one that needs no parsers file", name)
	}

	in := &Input{rawinput.Endpoint{
		Endpoint: netx.Endpoint{Server: c.server, Options: netx.ListenOptions{
			Log: env.Log, Reject: func(reason string) { env.Stats.Reject(reason, 1) },
		}},
		Stream: r.stream, Datagrams: r.datagrams,
	}}
	if unix {
		if c.path == "" {
			return nil, option.At("mode", fmt.Errorf("mode %s needs the option path", c.mode))
		}
		in.Network, in.Address, in.Options.Mode = "unix", c.path, c.permissions
	} else {
		in.Network = "tcp"
		if in.Address, err = c.port.Address(); err != nil {
			return nil, err
		}
		if c.receiveBuffer < 0 || c.receiveBuffer > math.MaxInt32 {
			return nil, option.At("receive_buffer_size", fmt.Errorf("receive_buffer_size is %d; it must be from 0 to 2G", c.receiveBuffer))
		}
		in.ReceiveBuffer = int(c.receiveBuffer)
	}
	if stream {
		in.Options.TLS = &c.tls
		return in, in.Check()
	}
	if in.Network = "udp"; unix {
		in.Network = "unixgram"
	}
	return in, nil
}

// Input listens.
type Input struct{ rawinput.Endpoint }

var (
	_ plugin.Input   = (*Input)(nil)
	_ plugin.Starter = (*Input)(nil)
	_ io.Closer      = (*Input)(nil)
)

// Run serves until ctx ends.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	return in.Endpoint.Run(ctx, out)
}

// reader makes events of messages.
type reader struct {
	tag       string
	log       *slog.Logger
	stats     *plugin.Stats
	parser    plugin.Parser
	rawKey    string // "" for none, as sourceKey
	sourceKey string
	counted   bool
	limit     int // bytes in the buffer of a connection
}

// stream emits the messages of a connection.
func (r *reader) stream(ctx context.Context, conn net.Conn, out rawinput.Emitter) {
	peer := rawinput.Peer(conn)
	f := framer{counted: r.counted, limit: r.limit}
	rest, err := rawinput.Pump(conn, r.limit, func(buf []byte) (used int, err error) {
		b := event.NewBatch(r.tag)
		now := time.Now().UnixNano()
		used, frameErr := f.split(buf, func(message []byte) { r.add(b, message, peer, now) })
		if len(b.Events) == 0 {
			b.Free()
		} else if err := rawinput.EmitAll(ctx, b, out, peer, r.log, r.stats.Reject); err != nil {
			return used, err
		}
		return used, frameErr
	})
	switch {
	case errors.Is(err, rawinput.ErrTooLong):
		r.stats.Reject("message_too_long", 1)
	case errors.Is(err, errLength):
		r.stats.Reject("invalid_length", 1)
	case len(rest) > 0:
		r.stats.Reject("unfinished_message", 1)
		r.log.Warn("an unfinished message is dropped", "peer", peer, "text", string(rest[:min(len(rest), 200)]))
	}
	if ctx.Err() == nil {
		rawinput.Report(r.log, peer, err)
	}
}

// datagrams emits each datagram as one message.
func (r *reader) datagrams(ctx context.Context, conn net.PacketConn, out rawinput.Emitter) error {
	return rawinput.PumpDatagrams(ctx, conn, r.limit+1, func(data []byte, from netip.AddrPort, cut bool) error {
		if cut {
			r.stats.Reject("datagram_cut", 1)
			r.log.Warn("a message does not fit into the buffer; its end is lost", "bytes", len(data))
		}
		if len(data) == 0 {
			return nil
		}
		peer := ""
		if r.sourceKey != "" {
			peer = rawinput.Source(from)
		}
		b := event.NewBatch(r.tag)
		r.add(b, data, peer, time.Now().UnixNano())
		if len(b.Events) == 0 {
			b.Free()
			return nil
		}
		return rawinput.EmitAll(ctx, b, out, peer, r.log, r.stats.Reject)
	})
}

// add adds the event of a message, if it fits the parser.
func (r *reader) add(b *event.Batch, message []byte, peer string, now int64) {
	e := b.Add(now)
	text := b.Bytes(message)
	if !r.parser.Parse(text, e) {
		b.Events = b.Events[:len(b.Events)-1]
		r.stats.Reject("parse_failed", 1)
		r.log.Warn("a message does not fit the parser and is dropped", "message", string(message[:min(len(message), 200)]))
		return
	}
	if e.Time == 0 {
		e.Time = now
	}
	if r.rawKey != "" {
		raw := b.SetArena(event.AppendBinary(b.Arena(len(message)+5), message))
		e.Append(b.String(r.rawKey), raw)
	}
	if r.sourceKey != "" {
		e.Append(b.String(r.sourceKey), b.String(peer))
	}
}
