package content_modifier

import (
	"sync"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/otlpmeta"
)

// emptyMap is the encoding of {}.
var emptyMap = event.Value{0x80}

// editMeta applies the action to the map at the path in the event's metadata.
// Maps on the way that are missing are made; an event whose metadata has
// something else there stays as it is.
func (p *Processor) editMeta(e *event.Event) reason {
	meta := e.Meta
	if len(meta) == 0 {
		meta = emptyMap
	}
	if p.group && !grouped(meta) {
		return ""
	}
	m, ok := descend(meta, p.path)
	if !ok {
		return ""
	}
	room := entries.Get().(*[]event.Field)
	fields := (*room)[:0]
	for k, v := range m.Pairs() {
		fields = append(fields, event.Field{Key: k, Val: v})
	}
	fields, changed, why := p.edit(e, false, fields)
	if changed || len(p.path) > 0 {
		e.Meta = pack(e.Batch(), meta, p.path, fields)
	}
	if cap(fields) <= mostKept {
		*room = fields[:0]
		clear(fields[:cap(fields)])
		entries.Put(room)
	}
	return why
}

// entries are the entries of a map while it is edited; editMeta has one list at
// a time.
var entries = sync.Pool{New: func() any { f := make([]event.Field, 0, 16); return &f }}

const mostKept = 256

// grouped tells whether an event has an OpenTelemetry envelope.
func grouped(meta event.Value) bool {
	root, ok := meta.Get(otlpmeta.Root)
	if !ok || root.Kind() != event.KindMap {
		return false
	}
	_, resource := root.Get(otlpmeta.Resource)
	_, scope := root.Get(otlpmeta.Scope)
	return resource || scope
}

// descend returns the map at the path, an empty one if there is none; false if
// something that is no map stands in the way.
func descend(m event.Value, path []string) (event.Value, bool) {
	for _, key := range path {
		next, ok := m.Get(key)
		if !ok {
			return emptyMap, true
		}
		if next.Kind() != event.KindMap {
			return nil, false
		}
		m = next
	}
	return m, true
}

// pack returns m with the map of the given fields at the path. All but the
// last of several entries with a key of the path are left out.
func pack(b *event.Batch, m event.Value, path []string, fields []event.Field) event.Value {
	size := len(m) + 5
	for _, f := range fields {
		size += len(f.Key) + len(f.Val)
	}
	for _, key := range path {
		size += len(key) + 10
	}
	return b.SetArena(appendPacked(b.Arena(size), m, path, fields))
}

func appendPacked(dst []byte, m event.Value, path []string, fields []event.Field) []byte {
	if len(path) == 0 {
		dst = event.AppendMapHeader(dst, len(fields))
		for _, f := range fields {
			dst = append(append(dst, f.Key...), f.Val...)
		}
		return dst
	}
	below, found := m.Get(path[0])
	if !found {
		below = emptyMap
	}
	n := 1
	for k := range m.Pairs() {
		if name, ok := k.Str(); !ok || string(name) != path[0] {
			n++
		}
	}
	dst = event.AppendMapHeader(dst, n)
	done := false
	for k, v := range m.Pairs() {
		if name, ok := k.Str(); !ok || string(name) != path[0] {
			dst = append(append(dst, k...), v...)
		} else if !done {
			dst, done = appendPacked(append(dst, k...), below, path[1:], fields), true
		}
	}
	if !done {
		dst = appendPacked(event.AppendString(dst, path[0]), below, path[1:], fields)
	}
	return dst
}
