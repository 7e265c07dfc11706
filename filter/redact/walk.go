package redact

import (
	"strconv"

	"github.com/kagarilog/kagari/event"
)

// work is what one goroutine needs to redact records. Nothing of it outlives a
// batch but its memory.
type work struct {
	f        *Filter
	batch    *event.Batch
	findings []finding
	caps     []int
	changes  []change // of the maps and arrays that are being looked at
	path     []byte   // of the value, keys with dots between them
	text     []byte   // scratch
	plain    []byte   // scratch
	replacer *replacer
	counts   []int // findings by detector
	doomed   bool  // the record is to be dropped
}

// change is an entry of a map or array that is replaced, or dropped if value is
// nil.
type change struct {
	index int
	value event.Value
}

// result is what becomes of a value.
type result uint8

const (
	same result = iota
	replaced
	dropped
)

// value redacts v, which is at w.path. scan tells whether text in it is looked at.
func (w *work) value(v event.Value, scan bool) (event.Value, result) {
	switch v.Kind() {
	case event.KindString, event.KindBinary:
		if !scan {
			return nil, same
		}
		text, _ := v.Str()
		return w.string(v, text)
	case event.KindInt, event.KindUint:
		if !scan || !w.f.finder.on[card] {
			return nil, same
		}
		return w.number(v)
	case event.KindMap:
		return w.mapping(v, scan)
	case event.KindArray:
		return w.array(v, scan)
	}
	return nil, same
}

// string redacts text.
func (w *work) string(v event.Value, text []byte) (event.Value, result) {
	mark := len(w.findings)
	w.findings = w.f.finder.find(w.findings, &w.caps, text)
	found := w.findings[mark:]
	w.findings = w.findings[:mark]
	if len(found) == 0 {
		return nil, same
	}
	w.text = w.text[:0]
	at := 0
	gone := false
	for _, x := range found {
		w.counts[x.by]++
		switch w.f.actions[x.by] {
		case dropRecord:
			w.doomed = true
			return nil, dropped
		case drop:
			gone = true
		}
		w.text = append(w.text, text[at:x.start]...)
		w.text = w.replace(w.text, text[x.start:x.end], x.by)
		at = x.end
	}
	if gone {
		return nil, dropped
	}
	w.text = append(w.text, text[at:]...)
	b := w.batch
	if v.Kind() == event.KindBinary {
		return b.SetArena(event.AppendBinary(b.Arena(len(w.text)+5), w.text)), replaced
	}
	return b.Text(w.text), replaced
}

// replace appends what stands for a finding.
func (w *work) replace(dst, text []byte, by int) []byte {
	if w.f.actions[by] == hashed {
		return w.replacer.appendHash(dst, text, by, w.f.names[by])
	}
	return w.replacer.appendMask(dst, text, by)
}

// smallestCard is the least number of 13 digits.
const smallestCard = 1_000_000_000_000

// number redacts a card number that is not text.
func (w *work) number(v event.Value) (event.Value, result) {
	n, ok := v.Uint()
	if !ok || n < smallestCard {
		return nil, same
	}
	var buf [20]byte
	text := strconv.AppendUint(buf[:0], n, 10)
	if len(text) > longestCard || !hasIssuer(text) || !luhn(text) {
		return nil, same
	}
	return w.whole(v, text, card)
}

// whole redacts a value as a whole, of which text is the text.
func (w *work) whole(v event.Value, text []byte, by int) (event.Value, result) {
	w.counts[by]++
	switch w.f.actions[by] {
	case dropRecord:
		w.doomed = true
		return nil, dropped
	case drop:
		return nil, dropped
	}
	if text == nil {
		// A number has the hash of its text, however it is encoded.
		var ok bool
		if w.plain, ok = event.AppendPlain(w.plain[:0], v); ok {
			text = w.plain
		} else {
			text = v
		}
	}
	w.text = w.replace(w.text[:0], text, by)
	return w.batch.Text(w.text), replaced
}

// mapping redacts a map.
func (w *work) mapping(v event.Value, scan bool) (event.Value, result) {
	mark, depth := len(w.changes), len(w.path)
	i := 0
	for key, val := range v.Pairs() {
		name, _ := key.Str()
		out, res := w.field(name, val, scan)
		if w.f.paths {
			w.path = w.path[:depth]
		}
		if w.doomed {
			w.changes = w.changes[:mark]
			return nil, dropped
		}
		if res != same {
			w.changes = append(w.changes, change{i, out})
		}
		i++
	}
	changes := w.changes[mark:]
	w.changes = w.changes[:mark]
	if len(changes) == 0 {
		return nil, same
	}
	b := w.batch
	dst := event.AppendMapHeader(b.Arena(grown(v, changes)), i-gone(changes))
	i = 0
	for key, val := range v.Pairs() {
		if len(changes) > 0 && changes[0].index == i {
			val, changes = changes[0].value, changes[1:]
		}
		i++
		if val != nil {
			dst = append(append(dst, key...), val...)
		}
	}
	return b.SetArena(dst), replaced
}

// field redacts the value of a key.
func (w *work) field(name []byte, val event.Value, scan bool) (event.Value, result) {
	f := w.f
	if f.paths {
		if len(w.path) > 0 {
			w.path = append(w.path, '.')
		}
		w.path = append(w.path, name...)
		if len(f.exclude) > 0 && (f.exclude.match(w.path) || f.exclude.match(name)) {
			return nil, same
		}
		scan = scan || f.include.match(w.path) || f.include.match(name)
	}
	if f.finder.on[secret] && f.finder.secrets.match(name) {
		switch val.Kind() {
		case event.KindNil:
			return nil, same
		case event.KindString, event.KindBinary:
			text, _ := val.Str()
			if len(text) == 0 {
				return nil, same
			}
			return w.whole(val, text, secret)
		default:
			return w.whole(val, nil, secret)
		}
	}
	return w.value(val, scan)
}

// array redacts an array.
func (w *work) array(v event.Value, scan bool) (event.Value, result) {
	mark := len(w.changes)
	i := 0
	for item := range v.Items() {
		out, res := w.value(item, scan)
		if w.doomed {
			w.changes = w.changes[:mark]
			return nil, dropped
		}
		if res != same {
			w.changes = append(w.changes, change{i, out})
		}
		i++
	}
	changes := w.changes[mark:]
	w.changes = w.changes[:mark]
	if len(changes) == 0 {
		return nil, same
	}
	b := w.batch
	dst := event.AppendArrayHeader(b.Arena(grown(v, changes)), i-gone(changes))
	i = 0
	for item := range v.Items() {
		if len(changes) > 0 && changes[0].index == i {
			item, changes = changes[0].value, changes[1:]
		}
		i++
		dst = append(dst, item...)
	}
	return b.SetArena(dst), replaced
}

// gone counts the changes that drop something.
func gone(changes []change) (n int) {
	for _, c := range changes {
		if c.value == nil {
			n++
		}
	}
	return n
}

// grown bounds the size of v with changes.
func grown(v event.Value, changes []change) int {
	n := len(v) + 5
	for _, c := range changes {
		n += len(c.value)
	}
	return n
}
