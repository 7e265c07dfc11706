package encode

import (
	"io"
	"sync"

	"github.com/kagarilog/kagari/event"
)

// Encoder writes events. It is immutable and safe for concurrent use.
type Encoder struct {
	format Format
	date   DateFormat
	key    string // of the time, "" for none
	open   []byte // {"key":
	json   event.JSONOptions
}

// NewEncoder makes an encoder. escapeUnicode is the service option
// json.escape_unicode: the text is ASCII only.
func (c *Config) NewEncoder(escapeUnicode bool) *Encoder {
	e := &Encoder{format: c.Format, date: c.DateFormat, key: c.DateKey}
	e.json.EscapeUnicode = escapeUnicode
	e.open = append(event.AppendJSONString([]byte{'{'}, c.DateKey, e.json), ':')
	return e
}

// Format returns the format.
func (e *Encoder) Format() Format { return e.format }

// internalKey is where Fluent Bit puts metadata that is not empty.
const internalKey = "__internal__"

// AppendRecord appends the event that cur is at as one JSON object, whatever
// the format, and returns the extended slice.
func (e *Encoder) AppendRecord(dst []byte, cur *event.Cursor) []byte {
	if len(cur.Meta) > 1 {
		return e.appendWithMeta(dst, cur)
	}
	if e.key == "" {
		return event.AppendValueJSON(dst, cur.Record, e.json)
	}
	if _, ok := cur.Record.Get(e.key); ok {
		// Of two equal keys the later one counts, and that is the record's.
		return event.AppendValueJSON(dst, cur.Record, e.json)
	}
	dst = append(dst, e.open...)
	dst = AppendDate(dst, cur.Time, e.date)
	at := len(dst)
	dst = event.AppendValueJSON(dst, cur.Record, e.json)
	if at+2 == len(dst) {
		return append(dst[:at], '}') // the record is {}
	}
	dst[at] = ',' // in place of the record's brace
	return dst
}

// scratch is for records that have to be put together first.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// appendWithMeta puts the time and the metadata in front of the record as one
// map, whose repeated keys are then settled like those of any other.
func (e *Encoder) appendWithMeta(dst []byte, cur *event.Cursor) []byte {
	p := scratch.Get().(*[]byte)
	n, entries, _ := event.ReadMapHeader(cur.Record)
	n++
	if e.key != "" {
		n++
	}
	b := event.AppendMapHeader((*p)[:0], n)
	if e.key != "" {
		b = event.AppendString(b, e.key)
		b = appendDateValue(b, cur.Time, e.date)
	}
	b = event.AppendString(b, internalKey)
	b = event.AppendMapHeader(b, 1)
	b = event.AppendString(b, "log_metadata")
	b = append(b, cur.Meta...)
	b = append(b, entries...)
	dst = event.AppendValueJSON(dst, event.Value(b), e.json)
	if cap(b) <= 1<<20 {
		*p = b
		scratch.Put(p)
	}
	return dst
}

// Append appends the whole chunk.
func (e *Encoder) Append(dst []byte, c *event.Chunk) ([]byte, error) {
	if e.format == Msgpack {
		return append(dst, c.Bytes()...), nil
	}
	cur := c.Cursor()
	for cur.Next() {
		dst = e.appendFramed(dst, &cur)
	}
	return e.end(dst, &cur), cur.Err()
}

// appendFramed appends an event with what stands before and behind it.
func (e *Encoder) appendFramed(dst []byte, cur *event.Cursor) []byte {
	switch e.format {
	case JSONLines:
		return append(e.AppendRecord(dst, cur), '\n')
	case JSONStream:
		return e.AppendRecord(dst, cur)
	}
	if cur.Index == 0 {
		dst = append(dst, '[')
	} else {
		dst = append(dst, ',')
	}
	return e.AppendRecord(dst, cur)
}

// end appends what stands behind the last event.
func (e *Encoder) end(dst []byte, cur *event.Cursor) []byte {
	switch {
	case e.format == JSONLines || e.format == JSONStream:
		return dst
	case cur.Index < 0:
		return append(dst, '[', ']')
	}
	return append(dst, ']')
}

// pieceSize is how much text is collected before it is written, in bytes: it
// fits the second-level cache together with the compressor's window.
const pieceSize = 64 << 10

var pieces = sync.Pool{New: func() any { b := make([]byte, 0, pieceSize+8<<10); return &b }}

// Write writes the whole chunk to w in pieces, so that compressing takes place
// while the text is in the cache.
func (e *Encoder) Write(w io.Writer, c *event.Chunk) error {
	if e.format == Msgpack {
		_, err := w.Write(c.Bytes())
		return err
	}
	p := pieces.Get().(*[]byte)
	buf := (*p)[:0]
	defer func() {
		if cap(buf) <= 1<<20 {
			*p = buf
			pieces.Put(p)
		}
	}()
	cur := c.Cursor()
	for cur.Next() {
		buf = e.appendFramed(buf, &cur)
		if len(buf) >= pieceSize {
			if _, err := w.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	buf = e.end(buf, &cur)
	if _, err := w.Write(buf); err != nil {
		return err
	}
	return cur.Err()
}
