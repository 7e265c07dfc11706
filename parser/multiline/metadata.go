package multiline

import (
	"bytes"
	"iter"

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
	// seen is the pairs again, once there are more than a few: looking through
	// all of them for every line takes too long.
	seen map[string]struct{}
}

// manyPairs is how many pairs are looked through.
const manyPairs = 64

func (m *metadata) size() int {
	if m.seen != nil {
		return 2*len(m.pairs) + seenCost*len(m.seen)
	}
	return len(m.pairs)
}

// seenCost is what an entry of seen takes beside its bytes, roughly, in bytes.
const seenCost = 40

func (m *metadata) reset() {
	m.entries, m.seen = 0, nil
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
			continue
		}
		if m.entries++; m.seen != nil {
			m.seen[string(m.pairs[start:])] = struct{}{}
		} else if m.entries > manyPairs {
			m.seen = map[string]struct{}{}
			for pair := range eachPair(m.pairs) {
				m.seen[string(pair)] = struct{}{}
			}
		}
	}
}

// has tells whether pair is one of pairs.
func (m *metadata) has(pair, pairs []byte) bool {
	if m.seen != nil {
		_, ok := m.seen[string(pair)]
		return ok
	}
	for p := range eachPair(pairs) {
		if bytes.Equal(p, pair) {
			return true
		}
	}
	return false
}

// eachPair gives each encoded key with its value.
func eachPair(pairs []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(pairs) > 0 {
			_, rest, err := event.Next(pairs)
			if err == nil {
				_, rest, err = event.Next(rest)
			}
			if err != nil || !yield(pairs[:len(pairs)-len(rest)]) {
				return
			}
			pairs = rest
		}
	}
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
