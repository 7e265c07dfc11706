// Package udp is the output udp: it sends each record as a datagram.
package udp

import (
	"cmp"
	"context"
	_ "embed" // For the documentation.
	"errors"
	"fmt"
	"io"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/encode"
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
		Name:    "udp",
		Summary: "Sends each record as a UDP datagram",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the output.
type Config struct {
	Remote netx.Remote
	RawKey string
	Encode encode.Config
	Net    netx.Client
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	fields := append(c.Remote.Fields(5170, "receiver"),
		option.String(&c.RawKey, "raw_message_key", "", "Record accessor, such as `$log`, of a text to send instead of the record. It may be a text with several accessors in it."),
	)
	fields = append(fields, c.Encode.Fields(encode.JSONLines)...)
	return append(fields, c.Net.Fields()...)
}

// New checks the options.
func (c *Config) New(env *plugin.Env) (plugin.Output, error) {
	o := &Output{env: env, encoder: c.Encode.NewEncoder(env.Service.EscapeUnicode)}
	if c.RawKey != "" {
		var err error
		if o.raw, err = event.ParseTemplate(c.RawKey); err != nil {
			return nil, option.At("raw_message_key", fmt.Errorf("option %q: %w", "raw_message_key", err))
		}
		if o.raw.Static() {
			env.Log.Warn("raw_message_key names no key of the record, so that every record becomes the same text; a key starts with $", "raw_message_key", c.RawKey)
		}
	}
	c.Remote.Prefer(&c.Net)
	d, err := netx.NewDialer(&c.Net, nil, env.Log)
	if err != nil {
		return nil, err
	}
	o.conn = netx.NewDatagrams(d, "udp", c.Remote.Address())
	return o, nil
}

// Output sends datagrams.
type Output struct {
	env     *plugin.Env
	conn    *netx.Datagrams
	encoder *encode.Encoder
	raw     *event.Template // nil without raw_message_key
}

var (
	_ plugin.Output = (*Output)(nil)
	_ io.Closer     = (*Output)(nil)
)

// Close closes the socket.
func (o *Output) Close() error { return o.conn.Close() }

// Send sends the events of a chunk one by one. Those behind a failure are sent
// again, and the one that a datagram cannot hold is given up alone.
func (o *Output) Send(ctx context.Context, c *event.Chunk) error {
	out := &plugin.PartialError{}
	missing := 0
	var buf []byte
	cur := c.Cursor()
	for cur.Next() {
		if len(out.Retry) > 0 {
			out.Retry = append(out.Retry, cur.Index)
			continue
		}
		var ok bool
		if buf, ok = o.message(buf[:0], c.Tag, &cur); !ok {
			missing++
		}
		err := ctx.Err()
		if err == nil {
			err = o.conn.Send(ctx, buf)
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
	if missing > 0 {
		o.env.Stats.Drop("no_raw_message", missing)
		o.env.Log.Warn("records without raw_message_key were sent without its text", "records", missing)
	}
	return cmp.Or(out.Of(c.Count), cur.Err())
}

// message appends the datagram for an event. Text ends with a line feed.
func (o *Output) message(dst []byte, tag string, cur *event.Cursor) ([]byte, bool) {
	switch {
	case o.raw != nil:
		dst, ok := o.raw.Append(dst, tag, cur.Record)
		return append(dst, '\n'), ok
	case o.encoder.Format() == encode.Msgpack:
		return append(dst, cur.Entry()...), true
	case o.encoder.Format() == encode.JSON:
		dst = o.encoder.AppendRecord(append(dst, '['), cur)
		return append(dst, ']', '\n'), true
	}
	return append(o.encoder.AppendRecord(dst, cur), '\n'), true
}
