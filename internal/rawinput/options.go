package rawinput

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
)

// Options is how data is read.
type Options struct {
	Format     string
	Separator  string
	ChunkSize  int64
	BufferSize int64 // 0 for that of ChunkSize

	Parser           string
	SourceAddressKey string

	workers int
}

// The formats.
const (
	formatJSON = "json"
	formatNone = "none"
)

// Fields binds the options that all three inputs have.
func (o *Options) Fields() []option.Field {
	return []option.Field{
		option.Enum(&o.Format, "format", formatJSON, []string{formatJSON, formatNone},
			"`json`: objects after each other, of which each is a record; an array becomes the field msg of one. `none`: text, of which each piece up to the separator becomes the field log."),
		option.String(&o.Separator, "separator", "",
			"What ends a piece of text in the format none; by default a newline. The escapes \\n, \\r, \\t and so on are known."),
		kilobytes(&o.ChunkSize, "chunk_size", 32,
			"Size of the buffer of a connection, in units of 1024 bytes."),
		kilobytes(&o.BufferSize, "buffer_size", 0,
			"The same, for the largest buffer; by default as large as chunk_size. What does not fit into it closes the connection."),
	}
}

// PeerFields binds the options of tcp and udp that unix_socket does not have.
func (o *Options) PeerFields() []option.Field {
	return []option.Field{
		option.String(&o.Parser, "parser", "",
			"Parser for the pieces of text, which sets the format none. Text that does not fit becomes the field log."),
		option.String(&o.SourceAddressKey, "source_address_key", "",
			"Key under which a record tells where it came from, such as tcp://10.0.0.7:51234. In the format none it needs a parser, as in Fluent Bit."),
		option.Int(&o.workers, "workers", 1,
			"Accepted for compatibility. Connections are served side by side without it."),
	}
}

// kilobytes is a field of a number that Fluent Bit reads up to its first other
// character and multiplies by 1024. Where that is a unit of more than K the
// unit counts, so that 1M is no kilobyte.
func kilobytes(p *int64, name string, def int64, doc string) option.Field {
	*p = def * 1024
	text := ""
	if def > 0 {
		text = strconv.FormatInt(def, 10)
	}
	return option.Custom(name, option.TypeInt, text, doc, func(v option.Value) error {
		s := strings.TrimSpace(v.Text)
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		n, err := strconv.ParseInt(s[:digits], 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not a number of kilobytes", v.Text)
		}
		*p = n * 1024
		switch unit := strings.ToUpper(strings.TrimSpace(s[digits:])); unit {
		case "", "K", "KB":
		case "M", "MB":
			*p = n << 20
			return option.Lenient("the number is one of kilobytes; %q counts as %d of them, where Fluent Bit takes %d", v.Text, n<<10, n)
		case "G", "GB":
			*p = n << 30
			return option.Lenient("the number is one of kilobytes; %q counts as %d of them, where Fluent Bit takes %d", v.Text, n<<20, n)
		default:
			return option.Lenient("%q is not a number of kilobytes and counts as %d", v.Text, n)
		}
		return nil
	}).WithUnit("KiB")
}

// bufferMost is the largest buffer of a connection that can be asked for.
const bufferMost = 1 << 30

// Env is what a reader needs of the plugin that it works for.
type Env struct {
	Tag string // of the events
	Log *slog.Logger
	// Reject counts broken input, by reason.
	Reject func(reason string, n int)
}

// Parser is plugin.Parser.
type Parser interface {
	Parse(line []byte, e *event.Event) bool
}

// Emitter is plugin.Emitter.
type Emitter interface {
	Emit(ctx context.Context, b *event.Batch) error
}

// Reader reads data in one format. It is safe for concurrent use.
type Reader struct {
	env       Env
	json      bool
	separator []byte
	parser    Parser // nil for none
	key       string // of the source's address, "" for none
	limit     int    // bytes in the buffer of a connection
}

// NewReader checks the options and makes a reader. parser, which is that of
// plugin.Env, finds a parser by name.
func NewReader[P Parser](o *Options, env Env, parser func(name string) (P, error)) (*Reader, error) {
	r := &Reader{env: env, json: o.Format == formatJSON, separator: []byte{'\n'}, key: o.SourceAddressKey}
	most := max(o.ChunkSize, o.BufferSize)
	if most < 1024 || most > bufferMost {
		return nil, fmt.Errorf("chunk_size and buffer_size are %d KiB; they must be from 1 to %d", most/1024, bufferMost/1024)
	}
	// Fluent Bit keeps one byte of the buffer for itself.
	r.limit = int(most) - 1
	if o.Separator != "" {
		if r.separator = unescape(o.Separator); len(r.separator) == 0 {
			return nil, errors.New("the separator is empty")
		}
	}
	if o.Parser != "" {
		p, err := parser(o.Parser)
		if err != nil {
			return nil, err
		}
		r.parser = p
		if r.json {
			env.Log.Warn("a parser needs text: the format is none instead of json")
			r.json = false
		}
	}
	if r.key != "" && !r.json && r.parser == nil {
		env.Log.Warn("source_address_key has no effect in the format none without a parser")
	}
	return r, nil
}

// unescape replaces the escapes that Fluent Bit knows. Before another
// character a backslash is left out.
func unescape(s string) []byte {
	var out []byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' {
			if i++; i == len(s) {
				break
			}
			c = s[i]
			if n := strings.IndexByte("nabtvfr", c); n >= 0 {
				c = "\n\a\b\t\v\f\r"[n]
			}
		}
		out = append(out, c)
	}
	return out
}
