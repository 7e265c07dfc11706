package stream

import (
	"time"

	"github.com/kagarilog/kagari/event"
)

// row is one event, or one group of events, while expressions work on it. It is
// reused; buf holds the texts that functions make.
type row struct {
	tag  string
	time int64         // of the event, nanoseconds since the Unix epoch
	now  time.Time     // of the batch
	rec  event.Value   // the record
	keys []event.Value // values of the plan's keys, nil for missing ones
	at   *group        // where aggregates are read from
	buf  []byte
	// gaveUp is how many matches would have taken too many steps.
	gaveUp uint64
}

// expr computes a value of a row.
type expr func(*row) val

// keyIndex is the set of top-level keys that a plan asks for.
type keyIndex struct{ names []string }

// slot returns the index of a key, adding it.
func (k *keyIndex) slot(name string) int {
	for i, n := range k.names {
		if n == name {
			return i
		}
	}
	k.names = append(k.names, name)
	return len(k.names) - 1
}

// load points the row at an event and finds the values of the keys. The first of
// duplicate keys counts, as in Fluent Bit's stream processor.
func (r *row) load(e *event.Event, k *keyIndex) {
	r.time, r.rec, r.buf = e.Time, e.Record(), r.buf[:0]
	clear(r.keys)
	n, b, err := event.ReadMapHeader(r.rec)
	if err != nil {
		return
	}
	for left := len(k.names); n > 0 && left > 0; n-- {
		var key []byte
		if len(b) > 0 && b[0]&0xe0 == 0xa0 && len(b) > int(b[0]&0x1f) {
			end := 1 + int(b[0]&0x1f)
			key, b = b[1:end], b[end:]
		} else {
			v, rest, err := event.Next(b)
			if err != nil {
				return
			}
			if v.Kind() == event.KindString {
				key, _ = v.Str()
			}
			b = rest
		}
		v, rest, err := event.Next(b)
		if err != nil {
			return
		}
		b = rest
		for i, name := range k.names {
			if len(name) == len(key) && name == string(key) && r.keys[i] == nil {
				r.keys[i] = v
				left--
				break
			}
		}
	}
}

// descend follows a path. A value that is neither a map nor an array is the
// result itself at the first step, as in Fluent Bit, where log['level'] of a log
// that is a text is the text.
func descend(v event.Value, path []step) (event.Value, bool) {
	if len(path) > 0 {
		if k := v.Kind(); k != event.KindMap && k != event.KindArray {
			return v, v != nil
		}
	}
	for _, s := range path {
		if s.index < 0 {
			found := false
			for key, val := range v.Pairs() {
				if name, _ := key.Str(); key.Kind() == event.KindString && string(name) == s.key {
					v, found = val, true
					break
				}
			}
			if !found {
				return nil, false
			}
			continue
		}
		i, found := 0, false
		for item := range v.Items() {
			if i == s.index {
				v, found = item, true
				break
			}
			i++
		}
		if !found {
			return nil, false
		}
	}
	return v, v != nil
}

// appendStar appends the entries of a record that have texts for keys, and
// returns their number.
func appendStar(dst []byte, rec event.Value) ([]byte, int) {
	count := 0
	for key, v := range rec.Pairs() {
		if key.Kind() == event.KindString {
			dst = append(append(dst, key...), v...)
			count++
		}
	}
	return dst, count
}

// mapHeader is the widest header that a map of at most n entries needs, and
// patchMap fills it in.
func mapHeader(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, 0x80)
	case n <= 0xffff:
		return append(dst, 0xde, 0, 0)
	}
	return append(dst, 0xdf, 0, 0, 0, 0)
}

func patchMap(head []byte, n int) {
	switch head[0] {
	case 0x80:
		head[0] |= byte(n)
	case 0xde:
		head[1], head[2] = byte(n>>8), byte(n)
	default:
		head[1], head[2], head[3], head[4] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	}
}
