package rawnet

import (
	"bytes"
	"errors"
	"io"

	"github.com/kagarilog/kagari/event"
)

// decoder finds the messages in the bytes of one source. What it has looked at
// in an unfinished message it does not look at again.
type decoder struct {
	*Reader
	peer string // address of the source

	seen  int   // bytes of the unfinished message that were looked at
	try   int   // size at which an unfinished JSON value is parsed in any case
	shape shape // of the seen bytes of a JSON value
}

// decode adds the complete messages at the start of data to b and returns how
// many bytes they take. The rest must be given again, with more behind it.
func (d *decoder) decode(b *event.Batch, data []byte, now int64) (used int) {
	if d.json {
		return d.decodeJSON(b, data, now)
	}
	return d.decodeText(b, data, now)
}

// forget begins a new message.
func (d *decoder) forget() { d.seen, d.try, d.shape = 0, 0, shape{} }

func (d *decoder) decodeText(b *event.Batch, data []byte, now int64) (used int) {
	for {
		// The separator may have begun in what was seen.
		from := max(0, d.seen-len(d.separator)+1)
		n := bytes.Index(data[used+from:], d.separator)
		if n < 0 {
			d.seen = len(data) - used
			return used
		}
		end := used + from + n
		if end > used {
			d.addText(b, data[used:end], now)
		}
		used = end + len(d.separator)
		d.seen = 0
	}
}

// addText adds the event of a piece of text.
func (d *decoder) addText(b *event.Batch, text []byte, now int64) {
	e := b.Add(now)
	if d.parser != nil {
		if !d.parser.Parse(b.Bytes(text), e) {
			d.env.Log.Debug("text does not fit the parser", "text", string(text[:min(len(text), 200)]))
			e.SetRecord(logRecord(b, text))
		}
		d.addPeer(e)
		return
	}
	e.SetRecord(logRecord(b, text))
}

// logRecord makes {"log": text}.
func logRecord(b *event.Batch, text []byte) event.Value {
	dst := b.Arena(len(text) + 16)
	dst = event.AppendMapHeader(dst, 1)
	dst = event.AppendString(dst, "log")
	return b.SetArena(event.AppendString(dst, text))
}

// addPeer adds the address of the source, if that is wanted and known.
func (d *decoder) addPeer(e *event.Event) {
	if d.key != "" && d.peer != "" {
		b := e.Batch()
		e.Append(b.String(d.key), b.String(d.peer))
	}
}

// wordMost is the longest number or word outside of any object that is waited
// for. It makes no record anyway.
const wordMost = 4096

func (d *decoder) decodeJSON(b *event.Batch, data []byte, now int64) (used int) {
	for {
		for used < len(data) && separates(data[used]) {
			used++
			d.forget()
		}
		rest := data[used:]
		if len(rest) == 0 {
			return used
		}
		// Most values are complete. One that is not is parsed again when it
		// looks complete and, to notice early that it is none, whenever it has
		// become twice as long.
		if d.try > 0 {
			complete := d.shape.end(rest[d.seen:])
			d.seen = len(rest)
			if !complete && len(rest) < d.try {
				return used
			}
		}
		n, err := d.addJSON(b, rest, now)
		switch {
		case err == nil:
			used += n
		case errors.Is(err, io.ErrUnexpectedEOF) && !(isWord(rest[0]) && len(rest) > wordMost):
			if d.try == 0 {
				d.shape.end(rest)
				d.seen = len(rest)
			}
			d.try = 2 * len(rest)
			return used
		default:
			used += d.skipBroken(rest, err)
		}
		d.forget()
	}
}

// isWord tells whether a value that begins with c has no brackets or quotes
// around it.
func isWord(c byte) bool { return c != '{' && c != '[' && c != '"' }

// addJSON adds the event of the first JSON value of data and returns how many
// bytes it takes.
func (d *decoder) addJSON(b *event.Batch, data []byte, now int64) (used int, err error) {
	dst := b.Arena(min(len(data), 1<<20) + 8)
	start := len(dst)
	// Room for the {"msg": that an array gets in front.
	const head = "\x81\xa3msg"
	dst = append(dst, head...)
	dst, rest, err := event.AppendLooseJSON(dst, data)
	if err != nil {
		return 0, err
	}
	value := event.Value(dst[start+len(head):])
	kind := value.Kind()
	switch kind {
	case event.KindMap, event.KindArray:
		record := b.SetArena(dst)
		if kind == event.KindMap {
			record = record[len(head):]
		}
		e := b.Add(now)
		e.SetRecord(record)
		d.addPeer(e)
	default:
		d.env.Reject("not_a_record", 1)
		d.env.Log.Error("a JSON value is no object", "value", string(data[:min(len(data)-len(rest), 200)]))
	}
	return len(data) - len(rest), nil
}

// skipBroken counts broken JSON and returns how much to skip: up to the end of
// the line in which it is broken, or everything.
func (d *decoder) skipBroken(data []byte, err error) int {
	d.env.Reject("invalid_json", 1)
	at := 0
	var syntax *event.SyntaxError
	if errors.As(err, &syntax) {
		at = min(max(syntax.Offset, 0), len(data))
	}
	end := len(data)
	if n := bytes.IndexByte(data[at:], '\n'); n >= 0 {
		end = at + n + 1
	}
	d.env.Log.Warn("invalid JSON is skipped", "error", err, "text", string(data[:min(end, 200)]))
	return end
}

// separates tells whether c may stand between JSON values.
func separates(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ','
}

// shape follows brackets and quotes to tell where a JSON value ends, without
// understanding it. The zero value is at the start of a value.
type shape struct {
	depth   int
	text    bool // inside of quotes
	escaped bool // behind a backslash inside of quotes
}

// end looks at more bytes and tells whether the value ends in them. Numbers
// and words end at once: only a parser can tell where.
func (s *shape) end(data []byte) bool {
	for i := 0; i < len(data); i++ {
		c := data[i]
		if s.text {
			switch {
			case s.escaped:
				s.escaped = false
			case c == '\\':
				s.escaped = true
			case c == '"':
				s.text = false
				if s.depth == 0 {
					return true
				}
			default:
				// Most bytes are text: on to what matters.
				n := bytes.IndexAny(data[i:], `"\`)
				if n < 0 {
					return false
				}
				i += n - 1
			}
			continue
		}
		switch c {
		case '"':
			s.text = true
		case '{', '[':
			s.depth++
		case '}', ']':
			if s.depth--; s.depth <= 0 {
				return true
			}
		}
		if s.depth == 0 && !s.text {
			return true
		}
	}
	return false
}
