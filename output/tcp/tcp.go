// Package tcp is the output tcp: it writes chunks to a TCP connection or a unix
// socket, with TLS or without.
package tcp

import (
	"context"
	_ "embed" // For the documentation.
	"fmt"
	"io"
	"sync"

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
		Name:    "tcp",
		Summary: "Writes records to a TCP connection",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the output.
type Config struct {
	Remote   netx.Remote
	UnixPath string
	RawKey   string
	Encode   encode.Config
	Net      netx.Client
	TLS      netx.TLS
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	fields := append(c.Remote.Fields(5170, "server"),
		option.String(&c.UnixPath, "unix_path", "", "Path of a unix socket to write to instead.").WithOurs(),
		option.String(&c.RawKey, "raw_message_key", "", "Record accessor, such as `$log`, of a text to write as a line instead of the record. It may be a text with several accessors in it."),
	)
	fields = append(fields, c.Encode.Fields(encode.Msgpack)...)
	fields = append(fields, c.Net.Fields()...)
	return append(fields, c.TLS.Fields()...)
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
			env.Log.Warn("raw_message_key names no key of the record, so that every record becomes the same line; a key starts with $", "raw_message_key", c.RawKey)
		}
	}
	c.Remote.Prefer(&c.Net)
	var err error
	if o.dialer, err = netx.NewDialer(&c.Net, &c.TLS, env.Log); err != nil {
		return nil, err
	}
	network, address := "tcp", c.Remote.Address()
	if c.UnixPath != "" {
		network, address = "unix", c.UnixPath
	}
	o.pool = netx.NewPool(o.dialer, network, address)
	o.pool.OneWay = true
	return o, nil
}

// Output writes chunks.
type Output struct {
	env     *plugin.Env
	dialer  *netx.Dialer
	pool    *netx.Pool
	encoder *encode.Encoder
	raw     *event.Template // nil without raw_message_key
}

var (
	_ plugin.Output    = (*Output)(nil)
	_ plugin.Starter   = (*Output)(nil)
	_ plugin.Connected = (*Output)(nil)
	_ io.Closer        = (*Output)(nil)
)

// Start reads the files of TLS options.
func (o *Output) Start(context.Context) error { return o.dialer.Load() }

// Connections is how many are open.
func (o *Output) Connections() int { return o.pool.Connections() }

// Close closes the idle connections.
func (o *Output) Close() error { return o.pool.Close() }

// Send writes the chunk. A peer that has no answer cannot tell how much of it
// arrived, so that all of it is sent again after a failure.
func (o *Output) Send(ctx context.Context, c *event.Chunk) error {
	missing := 0
	err := o.pool.Send(ctx, func(w io.Writer) (err error) {
		if o.raw == nil {
			return o.encoder.Write(w, c)
		}
		missing, err = o.writeRaw(w, c)
		return err
	})
	if err != nil {
		return fmt.Errorf("send the chunk: %w", err)
	}
	if missing > 0 {
		o.env.Stats.Drop("no_raw_message", missing)
		o.env.Log.Warn("records without raw_message_key became lines without its text", "records", missing)
	}
	return nil
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// flushAt is how much raw text is collected before it is written, in bytes.
const flushAt = 64 << 10

// writeRaw writes a line for each record and returns how many lack a key.
func (o *Output) writeRaw(w io.Writer, c *event.Chunk) (missing int, err error) {
	p := buffers.Get().(*[]byte)
	buf := (*p)[:0]
	defer func() {
		if cap(buf) <= 1<<20 {
			*p = buf
			buffers.Put(p)
		}
	}()
	cur := c.Cursor()
	for cur.Next() {
		var ok bool
		if buf, ok = o.raw.Append(buf, c.Tag, cur.Record); !ok {
			missing++
		}
		if buf = append(buf, '\n'); len(buf) >= flushAt {
			if _, err := w.Write(buf); err != nil {
				return 0, err
			}
			buf = buf[:0]
		}
	}
	if _, err := w.Write(buf); err != nil {
		return 0, err
	}
	return missing, cur.Err()
}
