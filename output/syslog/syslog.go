// Package syslog is the output syslog: it sends records as syslog messages of
// RFC 5424 or RFC 3164, over UDP, TCP or TLS.
package syslog

import (
	"cmp"
	"context"
	_ "embed" // For the documentation.
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the output.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindOutput,
		Name:    "syslog",
		Summary: "Sends records as syslog messages",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// The transports.
const (
	modeUDP  = "udp"
	modeTCP  = "tcp"
	modeTLS  = "tls"
	modeDTLS = "dtls" // of Fluent Bit; refused
)

// Config is the options of the output.
type Config struct {
	Remote  netx.Remote
	Mode    string
	Framing string
	MaxSize int64
	Format  format
	Net     netx.Client
	TLS     netx.TLS
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	f := &c.Format
	fields := append(c.Remote.Fields(514, "server"),
		option.Enum(&c.Mode, "mode", modeUDP, []string{modeUDP, modeTCP, modeTLS, modeDTLS}, "Transport: udp, tcp or tls; dtls is not supported."),
		option.Enum(&c.Framing, "syslog_framing", framingNewline, []string{framingNewline, framingOctets}, "How messages are told apart on a stream (RFC 6587): by a line feed behind each, or by its length in front.").WithOurs(),
		option.Enum(&f.rfc, "syslog_format", rfc5424, []string{rfc5424, rfc3164}, "Format of the messages."),
		option.Size(&c.MaxSize, "syslog_maxsize", "0", "Largest message; longer ones are cut. 0 means 2048 for rfc5424 and 1024 for rfc3164."),
		option.String(&f.keys[severity], "syslog_severity_key", "", "Key of the severity: a number from 0 to 7 or a word such as `err`."),
		preset(&f.severity, "syslog_severity_preset", 6, 7, "Severity of records that have none."),
		option.String(&f.keys[facility], "syslog_facility_key", "", "Key of the facility: a number from 0 to 23 or a word such as `local0`."),
		preset(&f.facility, "syslog_facility_preset", 1, 23, "Facility of records that have none."),
	)
	for i, name := range [...]string{hostname: "hostname", appname: "appname", procid: "procid", msgid: "msgid"} {
		if name == "" {
			continue
		}
		fields = append(fields,
			option.String(&f.keys[i], "syslog_"+name+"_key", "", "Key of the "+words[i]+"."),
			option.String(&f.presets[i], "syslog_"+name+"_preset", "", "The "+words[i]+" of records that have none."))
	}
	f.keys[message] = ""
	fields = append(fields,
		option.String(&f.keys[message], "syslog_message_key", "", "Key of the message. Without it messages are empty."),
		option.Lines(&f.sd, "syslog_sd_key", "Key of a map that becomes an element of the structured data (rfc5424). May be given more than once."),
		option.Bool(&f.longNames, "allow_longer_sd_id", false, "Do not cut names in structured data at 32 characters, against RFC 5424."),
	)
	fields = append(fields, c.Net.Fields()...)
	return append(fields, c.TLS.Fields()...)
}

var words = [...]string{hostname: "host's name", appname: "application's name", procid: "process id", msgid: "message id"}

func preset(p *int, name string, def, limit int, doc string) option.Field {
	return option.Int(p, name, def, doc).WithCheck(func() error {
		if *p < 0 || *p > limit {
			return fmt.Errorf("%d is not between 0 and %d", *p, limit)
		}
		return nil
	})
}

// The framings of streams.
const (
	framingNewline = "newline"
	framingOctets  = "octet_counting"
)

// New checks the options.
func (c *Config) New(env *plugin.Env) (plugin.Output, error) {
	switch {
	case c.Mode == modeDTLS:
		return nil, option.At("mode", errors.New("mode dtls is not supported; use tls"))
	case c.Mode == modeUDP && c.TLS.On:
		return nil, option.At("mode", errors.New("tls goes with mode tcp or tls, not with udp"))
	case c.Mode == modeTLS:
		c.TLS.On = true
	}
	o := &Output{env: env, format: c.Format, octets: c.Framing == framingOctets}
	o.format.stats = env.Stats
	o.format.log = env.Log
	if o.format.limit = int(min(c.MaxSize, 1<<30)); o.format.limit <= 0 {
		o.format.limit = 2048
		if c.Format.rfc == rfc3164 {
			o.format.limit = 1024
		}
	}
	if c.Format.keys[message] == "" {
		env.Log.Warn("syslog_message_key is not given, so that all messages are empty")
	}
	c.Remote.Prefer(&c.Net)
	var err error
	if o.dialer, err = netx.NewDialer(&c.Net, &c.TLS, env.Log); err != nil {
		return nil, err
	}
	address := c.Remote.Address()
	if c.Mode == modeUDP {
		o.datagrams = netx.NewDatagrams(o.dialer, "udp", address)
		return o, nil
	}
	o.pool = netx.NewPool(o.dialer, "tcp", address)
	o.pool.OneWay = true
	return o, nil
}

// Output sends messages.
type Output struct {
	env       *plugin.Env
	format    format
	octets    bool
	dialer    *netx.Dialer
	datagrams *netx.Datagrams // mode udp
	pool      *netx.Pool      // other modes
}

var (
	_ plugin.Output    = (*Output)(nil)
	_ plugin.Starter   = (*Output)(nil)
	_ plugin.Connected = (*Output)(nil)
	_ io.Closer        = (*Output)(nil)
)

// Start reads the files of TLS options.
func (o *Output) Start(context.Context) error { return o.dialer.Load() }

// Connections is how many are open. Datagrams need none.
func (o *Output) Connections() int {
	if o.pool == nil {
		return 0
	}
	return o.pool.Connections()
}

// Close closes connections.
func (o *Output) Close() error {
	if o.datagrams != nil {
		return o.datagrams.Close()
	}
	return o.pool.Close()
}

// writer is the memory for writing messages.
type writer struct {
	msg  fields
	out  []byte
	text []byte // of one message
}

var writers = sync.Pool{New: func() any { return new(writer) }}

func (w *writer) put() {
	w.msg.reset()
	if cap(w.out) > 1<<20 || cap(w.text) > 1<<20 {
		return
	}
	writers.Put(w)
}

// Send sends the events of a chunk.
func (o *Output) Send(ctx context.Context, c *event.Chunk) error {
	w := writers.Get().(*writer)
	defer w.put()
	if o.datagrams != nil {
		return o.sendDatagrams(ctx, w, c)
	}
	if err := o.pool.Send(ctx, func(conn io.Writer) error { return o.write(conn, w, c) }); err != nil {
		return fmt.Errorf("send the chunk: %w", err)
	}
	return nil
}

// flushAt is how much is collected before it is written, in bytes.
const flushAt = 64 << 10

func (o *Output) write(conn io.Writer, w *writer, c *event.Chunk) error {
	w.out = w.out[:0]
	cur := c.Cursor()
	for cur.Next() {
		w.text = o.format.append(w.text[:0], &w.msg, cur.Time, cur.Record)
		if o.octets {
			w.out = append(strconv.AppendInt(w.out, int64(len(w.text)), 10), ' ')
			w.out = append(w.out, w.text...)
		} else {
			w.out = append(append(w.out, w.text...), '\n')
		}
		if len(w.out) >= flushAt {
			if _, err := conn.Write(w.out); err != nil {
				return err
			}
			w.out = w.out[:0]
		}
	}
	if _, err := conn.Write(w.out); err != nil {
		return err
	}
	return cur.Err()
}

// sendDatagrams sends each message in a datagram. Those behind a failure are
// sent again.
func (o *Output) sendDatagrams(ctx context.Context, w *writer, c *event.Chunk) error {
	out := &plugin.PartialError{}
	cur := c.Cursor()
	for cur.Next() {
		if len(out.Retry) > 0 {
			out.Retry = append(out.Retry, cur.Index)
			continue
		}
		w.text = o.format.append(w.text[:0], &w.msg, cur.Time, cur.Record)
		err := ctx.Err()
		if err == nil {
			err = o.datagrams.Send(ctx, w.text)
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, netx.ErrMessageSize):
			out.Rejected = append(out.Rejected, cur.Index)
		default:
			out.Retry = append(out.Retry, cur.Index)
		}
		out.Err = err
	}
	return cmp.Or(out.Of(c.Count), cur.Err())
}
