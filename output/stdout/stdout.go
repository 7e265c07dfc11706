// Package stdout is the output stdout: it prints events to standard output, in
// a form for tests and machines or, as pretty, for people.
package stdout

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/encode"
	"github.com/kagarilog/kagari/internal/metrictext"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the output.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindOutput,
		Name:    "stdout",
		Summary: "Prints events to standard output",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
		Metrics: true,
	}
}

// Config is the options of the output.
type Config struct{ encode encode.Config }

// The formats beside those of package encode. The last one is ours: a line for
// people.
const (
	formatOTLP       encode.Format = "otlp_json"
	formatOTLPPretty encode.Format = "otlp_json_pretty"
	formatPretty     encode.Format = "pretty"
)

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return c.encode.Fields(encode.Msgpack, formatOTLP, formatOTLPPretty, formatPretty)
}

// New makes the output.
func (c *Config) New(env *plugin.Env) (plugin.Output, error) {
	o := &Output{w: os.Stdout, format: c.encode.Format}
	switch o.format {
	case encode.Msgpack, formatOTLP, formatOTLPPretty:
	case formatPretty:
		o.pretty = &pretty{zone: time.Local, colours: os.Getenv("NO_COLOR") == "" && isatty.IsTerminal(os.Stdout.Fd())}
	default:
		o.encoder = c.encode.NewEncoder(env.Service.EscapeUnicode)
	}
	return o, nil
}

// Output prints.
type Output struct {
	w       io.Writer
	format  encode.Format
	encoder *encode.Encoder // for the forms of JSON
	pretty  *pretty         // for that format
}

var _ plugin.Output = (*Output)(nil)

// buffers are for the text of one chunk.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// bufferMax is the largest buffer that is kept for the next chunk.
const bufferMax = 8 << 20

// Send prints c with one write, so that the texts of several outputs do not mix.
func (o *Output) Send(_ context.Context, c *event.Chunk) error {
	p := buffers.Get().(*[]byte)
	text, err := o.append((*p)[:0], c)
	defer func() {
		if cap(text) <= bufferMax {
			*p = text
			buffers.Put(p)
		}
	}()
	if err != nil {
		return plugin.Permanent(err)
	}
	if _, err := o.w.Write(text); err != nil {
		return fmt.Errorf("write to standard output: %w", err)
	}
	return nil
}

// append appends the text of a chunk.
func (o *Output) append(dst []byte, c *event.Chunk) ([]byte, error) {
	if o.format == formatOTLP || o.format == formatOTLPPretty {
		return o.appendOTLP(dst, c)
	}
	if c.Signal == event.Metrics {
		return metrictext.Append(dst, c.Bytes())
	}
	if o.encoder != nil {
		dst, err := o.encoder.Append(dst, c)
		if err != nil {
			return dst, fmt.Errorf("encode events: %w", err)
		}
		if o.format != encode.JSONLines {
			dst = append(dst, '\n')
		}
		return dst, nil
	}
	cur := c.Cursor()
	for cur.Next() {
		if o.pretty != nil {
			dst = o.pretty.append(dst, c.Tag, &cur)
		} else {
			dst = appendText(dst, c.Tag, &cur)
		}
	}
	if err := cur.Err(); err != nil {
		return dst, fmt.Errorf("read chunk: %w", err)
	}
	return dst, nil
}

// appendText appends a line in the form of msgpack-c:
//
//	[0] tag: [[1700000000.250000000, {}], {"a"=>1, "b"=>"text"}]
func appendText(dst []byte, tag string, cur *event.Cursor) []byte {
	dst = append(dst, '[')
	dst = strconv.AppendInt(dst, int64(cur.Index), 10)
	dst = append(dst, "] "...)
	dst = append(dst, tag...)
	dst = append(dst, ": [["...)
	dst = strconv.AppendInt(dst, cur.Time/1e9, 10)
	dst = append(dst, '.')
	frac := cur.Time % 1e9
	for unit := int64(1e8); unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+frac/unit%10))
	}
	dst = append(dst, ", "...)
	dst = event.AppendText(dst, cur.Meta)
	dst = append(dst, "], "...)
	dst = event.AppendText(dst, cur.Record)
	return append(dst, "]\n"...)
}
