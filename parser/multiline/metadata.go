package multiline

import (
	"bytes"

	"github.com/kagarilog/kagari/event"
)

// truncatedKey marks records that were cut, in their metadata.
const truncatedKey = "multiline_truncated"

// truncatedMeta is the metadata of a record that was cut and had none.
var truncatedMeta = event.Value(appendTruncated(event.AppendMapHeader(nil, 1)))

// Truncated returns the metadata of a record that was cut and has no other, for
// what joins lines without a [Stream]. It is not to be changed.
func Truncated() event.Value { return truncatedMeta }

func appendTruncated(dst []byte) []byte {
	return event.AppendBool(event.AppendString(dst, truncatedKey), true)
}

// metadata is the metadata of several lines: their entries in order, each pair
// of key and value once.
type metadata struct {
	entries int
	pairs   []byte
	sources []byte // the latest metadata that was added, as it came
}

func (m *metadata) size() int { return len(m.pairs) }

func (m *metadata) reset() {
	m.entries = 0
	m.pairs, m.sources = emptied(m.pairs), emptied(m.sources)
}

// add takes the entries of a map. Usually all lines have the same.
func (m *metadata) add(meta event.Value) {
	if len(meta) <= 1 || bytes.Equal(meta, m.sources) {
		return
	}
	m.sources = append(m.sources[:0], meta...)
	for key, val := range meta.Pairs() {
		start := len(m.pairs)
		m.pairs = appendHex(appendHex(m.pairs, key), val)
		if m.has(m.pairs[start:], m.pairs[:start]) {
			m.pairs = m.pairs[:start]
		} else {
			m.entries++
		}
	}
}

// has tells whether pair is one of pairs.
func (m *metadata) has(pair, pairs []byte) bool {
	for len(pairs) > 0 {
		_, rest, err := event.Next(pairs)
		if err == nil {
			_, rest, err = event.Next(rest)
		}
		if err != nil {
			return false
		}
		if bytes.Equal(pairs[:len(pairs)-len(rest)], pair) {
			return true
		}
		pairs = rest
	}
	return false
}

// value returns the metadata as a map that belongs to b, or nil; cut adds the
// mark of records that were cut.
func (m *metadata) value(b *event.Batch, cut bool) event.Value {
	n := m.entries
	if cut {
		n++
	}
	if n == 0 {
		return nil
	}
	out := event.AppendMapHeader(b.Arena(len(m.pairs)+len(truncatedMeta)+5), n)
	out = append(out, m.pairs...)
	if cut {
		out = appendTruncated(out)
	}
	return b.SetArena(out)
}

// textMeta returns a metadata map as a value of b with binary values, such as
// the trace_id of OTLP, as hexadecimal text, as Fluent Bit gives it out.
func textMeta(b *event.Batch, meta event.Value) event.Value {
	return b.SetArena(appendHex(b.Arena(2*len(meta)), meta))
}

// appendHex appends v with binary values as hexadecimal text.
func appendHex(dst []byte, v event.Value) []byte {
	switch v.Kind() {
	case event.KindBinary:
		data, _ := v.Str()
		dst = event.AppendStringHeader(dst, 2*len(data))
		const digits = "0123456789abcdef"
		for _, c := range data {
			dst = append(dst, digits[c>>4], digits[c&15])
		}
		return dst
	case event.KindMap:
		dst = event.AppendMapHeader(dst, v.Len())
		for key, val := range v.Pairs() {
			dst = appendHex(appendHex(dst, key), val)
		}
		return dst
	case event.KindArray:
		dst = event.AppendArrayHeader(dst, v.Len())
		for item := range v.Items() {
			dst = appendHex(dst, item)
		}
		return dst
	}
	return append(dst, v...)
}
