package rawinput

import (
	"bytes"
	"io"

	"github.com/kagarilog/kagari/event"
)

// decoder finds the messages in the bytes of one source. What it has looked at
// in an unfinished message it does not look at again.
type decoder struct {
	*Reader
	peer string // address of the source

	values Values // of the format json
	seen   int    // bytes of unfinished text that were looked at
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
func (d *decoder) forget() {
	d.seen = 0
	d.values.Forget()
}

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

func (d *decoder) decodeJSON(b *event.Batch, data []byte, now int64) (used int) {
	for {
		v, n, err := d.values.Next(b, data[used:])
		if err == io.ErrUnexpectedEOF {
			return used + n
		}
		if err != nil {
			d.env.Reject("invalid_json", 1)
			d.env.Log.Warn("invalid JSON is skipped", "error", err, "text", string(data[used:used+min(n, 200)]))
			used += n
			continue
		}
		d.addJSON(b, v, now)
		used += n
	}
}

// addJSON adds the event of a JSON value.
func (d *decoder) addJSON(b *event.Batch, v event.Value, now int64) {
	switch v.Kind() {
	case event.KindMap:
	case event.KindArray:
		dst := b.Arena(len(v) + 5)
		dst = event.AppendMapHeader(dst, 1)
		dst = event.AppendString(dst, "msg")
		v = b.SetArena(append(dst, v...))
	default:
		d.env.Reject("not_a_record", 1)
		d.env.Log.Error("a JSON value is no object", "value", string(event.AppendValueJSON(nil, v[:min(len(v), 200)], event.JSONOptions{})))
		return
	}
	e := b.Add(now)
	e.SetRecord(v)
	d.addPeer(e)
}
