package multiline

import (
	"bytes"
	"container/list"
	"strconv"
	"time"

	"github.com/kagarilog/kagari/event"
)

// message is the parts of a message so far.
type message struct {
	id   string // its key in Partial.messages
	tag  string
	time int64       // of the first part
	meta event.Value // of the first part
	head []byte      // the fields of the first part but for the text and those of Docker, packed
	n    int         // fields in head
	text []byte
	acks acks

	counted  int       // of its size in Partial.size
	touched  time.Time // when a part was added
	place    *list.Element
	ordinal  int64 // of the part that was added last
	disorder bool  // ordinals did not follow each other
	pieces   int   // that went on because the text was too long
}

// messageCost is what a message costs beside its bytes, roughly, in bytes, and
// ackCost an ack.
const (
	messageCost = 512
	ackCost     = 64
)

func (m *message) size() int {
	return messageCost + len(m.id) + len(m.meta) + cap(m.head) + cap(m.text) + ackCost*len(m.acks)
}

// begin copies from the first part what stays as it is.
func (m *message) begin(e *event.Event, key string) {
	m.time, m.meta = e.Time, append(m.meta[:0], e.Meta...)
	for _, field := range e.Fields() {
		if name := field.Name(); string(name) == key || bytes.HasPrefix(name, []byte(partialPrefix)) {
			continue
		}
		m.head = append(append(m.head, field.Key...), field.Val...)
		m.n++
	}
}

// add adds the text of a part.
func (m *message) add(b *event.Batch, e *event.Event, text []byte) {
	m.text = append(m.text, text...)
	m.acks.hold(b.Ack)
	if v, ok := e.Get(partialOrdinal); ok {
		n, ok := ordinal(v)
		if !ok || n != m.ordinal+1 {
			m.disorder = true
		}
		m.ordinal = n
	}
}

// put makes e, an event of b, the joined message. A truncated one has Fluent
// Bit's mark for it in the metadata.
func (m *message) put(b *event.Batch, e *event.Event, key event.Value, truncated bool) {
	e.Time, e.Meta = m.time, nil
	switch {
	case truncated:
		e.Meta = b.SetArena(appendTruncated(b.Arena(len(m.meta)+32), m.meta))
	case len(m.meta) > 0:
		e.Meta = b.Bytes(m.meta)
	}
	dst := event.AppendMapHeader(b.Arena(len(m.head)+len(key)+len(m.text)+10), m.n+1)
	dst = append(append(dst, m.head...), key...)
	e.SetRecord(b.SetArena(event.AppendString(dst, m.text)))
}

func (m *message) reset() {
	*m = message{meta: m.meta[:0], head: m.head[:0], text: m.text[:0], acks: m.acks[:0]}
}

// appendTruncated appends the metadata with the mark of truncated messages, which
// is Fluent Bit's (FLB_MULTILINE_TRUNCATED in flb_ml.c).
func appendTruncated(dst []byte, meta event.Value) []byte {
	n, rest, err := event.ReadMapHeader(meta)
	if err != nil {
		n, rest = 0, nil
	}
	dst = append(event.AppendMapHeader(dst, n+1), rest...)
	return event.AppendBool(event.AppendString(dst, "multiline_truncated"), true)
}

// ordinal reads the number of a part.
func ordinal(v event.Value) (int64, bool) {
	if s, ok := v.Str(); ok {
		n, err := strconv.ParseInt(string(s), 10, 64)
		return n, err == nil
	}
	return v.Int()
}
