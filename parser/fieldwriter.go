package parser

import "github.com/kagarilog/kagari/event"

// fieldWriter builds the record of a format that finds its fields one by one,
// in the memory of the event's batch.
type fieldWriter struct {
	parser *Parser
	batch  *event.Batch
	out    []byte
	start  int // where the record begins
	fields int
	ns     int64
}

// newFieldWriter begins a record of a line of the given length.
func newFieldWriter(p *Parser, e *event.Event, line int) fieldWriter {
	batch := e.Batch()
	// Each field has a separator or two in the line, and a head for key and value.
	arena := batch.Arena(2*line + 16)
	return fieldWriter{parser: p, batch: batch, out: append(arena, 0x80), start: len(arena)}
}

// takeTime reads the time if name is its field. keep tells whether the field is
// for the record; ok is false if the time does not fit, which fails the line.
func (w *fieldWriter) takeTime(name, text []byte) (keep, ok bool) {
	t := w.parser.time
	if t == nil || len(text) == 0 || string(name) != t.key {
		return true, true
	}
	ns, err := t.read(text)
	if err != nil {
		w.parser.misfit(text, err)
		return false, false
	}
	w.ns = ns
	return t.keep, true
}

// key begins a field.
func (w *fieldWriter) key(name []byte) {
	w.fields++
	w.out = appendText(w.out, name)
}

// value ends the field with text of the type that Types gives it.
func (w *fieldWriter) value(name, text []byte) {
	if w.parser.types != nil {
		if typ := w.parser.types[string(name)]; typ != typeText {
			w.out = w.parser.appendTyped(w.out, typ, text)
			return
		}
	}
	w.out = appendText(w.out, text)
}

// end gives the record to e. It is false if there is no field: the line does
// not fit then.
func (w *fieldWriter) end(e *event.Event) bool {
	if w.fields == 0 {
		return false
	}
	w.out = replaceHeader(w.out, w.start, 1, w.fields)
	e.SetRecord(w.batch.SetArena(w.out))
	if w.ns != 0 {
		e.Time = w.ns
	}
	return true
}

// replaceHeader gives the map of out that begins at start, with a header of head
// bytes, one of n entries.
func replaceHeader(out []byte, start, head, n int) []byte {
	if head == 1 && n < 16 {
		out[start] = 0x80 | byte(n)
		return out
	}
	var buf [5]byte
	header := event.AppendMapHeader(buf[:0], n)
	size := len(out) - start - head
	if more := len(header) - head; more > 0 {
		out = append(out, buf[:more]...)
	}
	copy(out[start+len(header):], out[start+head:start+head+size])
	copy(out[start:], header)
	return out[:start+len(header)+size]
}

// byteClass is the set of the bytes of s.
func byteClass(s string) (set [256]bool) {
	for i := range len(s) {
		set[s[i]] = true
	}
	return set
}
