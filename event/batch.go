package event

import "sync"

// Signal tells what a batch or chunk carries.
type Signal uint8

// The signals. Metrics travel as whole OTLP messages and are routed, stored
// and retried like logs.
const (
	Logs Signal = iota
	Metrics
)

// Batch is the events of one tag on their way from an input through the
// filters, with the memory that they live in. It has one owner at a time:
// whoever was handed it last. Get one with NewBatch and give it away with
// Emit, or back with Free.
type Batch struct {
	Tag    string
	Signal Signal
	// Source is the name of the input, or of the emitter of a filter, that brought
	// the events in. The engine sets it.
	Source string
	Events []Event // Signal Logs
	// Payload is a marshalled opentelemetry.proto.metrics.v1.MetricsData of
	// Signal Metrics.
	Payload []byte
	// Ack is released once the batch's events are sealed into chunks that hold
	// it, or dropped. It may be nil.
	Ack *Ack

	arena  []byte  // current block; earlier ones stay alive through references
	fields []Field // current slab for opened records
}

const (
	arenaBlock  = 64 << 10
	arenaMax    = 1 << 20 // larger blocks are not kept for reuse
	fieldsBlock = 1024
	fieldsMax   = 1 << 14 // larger slabs are for single records only
)

var batches = sync.Pool{New: func() any { return new(Batch) }}

// NewBatch returns an empty batch for the tag.
func NewBatch(tag string) *Batch {
	b := batches.Get().(*Batch)
	b.Tag = tag
	return b
}

// Free gives the batch's memory back and releases its ack. Nothing of the
// batch may be used afterwards.
func (b *Batch) Free() {
	ack := b.Ack
	b.reset()
	batches.Put(b)
	ack.Release()
}

func (b *Batch) reset() {
	clear(b.Events)
	b.Events = b.Events[:0]
	b.Tag, b.Signal, b.Source, b.Payload, b.Ack = "", Logs, "", nil, nil
	b.arena = b.arena[:0]
	if cap(b.arena) > arenaMax {
		b.arena = nil
	}
	clear(b.fields)
	b.fields = b.fields[:0]
	if cap(b.fields) > fieldsMax {
		b.fields = nil
	}
	if cap(b.Events) > 1<<14 {
		b.Events = nil
	}
}

// Add appends an event with an empty record and returns it. The pointer holds
// until the next Add.
func (b *Batch) Add(ns int64) *Event {
	b.Events = append(b.Events, Event{Time: ns, packed: emptyMap, batch: b})
	return &b.Events[len(b.Events)-1]
}

// AddCopy appends a copy of an event of any batch, which shares nothing with it,
// and returns it. The pointer holds until the next Add.
func (b *Batch) AddCopy(e *Event) *Event {
	c := Event{Time: e.Time, batch: b}
	if len(e.Meta) > 0 {
		c.Meta = Value(b.Bytes(e.Meta))
	}
	c.packed = b.SetArena(e.appendRecord(b.Arena(e.size())))
	b.Events = append(b.Events, c)
	return &b.Events[len(b.Events)-1]
}

// Size is the number of bytes that the batch's records take, roughly.
func (b *Batch) Size() int {
	n := len(b.Payload)
	for i := range b.Events {
		n += b.Events[i].Size()
	}
	return n
}

// Grow makes room for n bytes so that a following append to the arena up to
// that size moves nothing.
func (b *Batch) Grow(n int) {
	if cap(b.arena)-len(b.arena) < n {
		// The old block stays alive through the values that alias it.
		b.arena = make([]byte, 0, max(n, arenaBlock, min(2*cap(b.arena), arenaMax)))
	}
}

// Bytes copies p into the arena and returns the copy.
func (b *Batch) Bytes(p []byte) []byte {
	b.Grow(len(p))
	start := len(b.arena)
	b.arena = append(b.arena, p...)
	return b.arena[start:len(b.arena):len(b.arena)]
}

// Build hands the free end of the arena, with room for at least hint bytes, to
// build, which appends to it and returns the result. The appended bytes are
// returned as a value that belongs to the batch; when build returns an error
// nothing is kept.
func (b *Batch) Build(hint int, build func(dst []byte) ([]byte, error)) (Value, error) {
	b.Grow(hint)
	start := len(b.arena)
	out, err := build(b.arena)
	if err != nil {
		return nil, err
	}
	b.arena = out
	return Value(out[start:len(out):len(out)]), nil
}

// Arena and SetArena are Build without a closure, for inner loops: append to
// what Arena returned and hand the result to SetArena, which returns the
// appended bytes. In between, as within Build, nothing else may be taken from
// the arena, nor an opened record of the batch be packed.
func (b *Batch) Arena(hint int) []byte {
	b.Grow(hint)
	return b.arena
}

// SetArena ends an append that began with Arena; see there.
func (b *Batch) SetArena(out []byte) Value {
	start := len(b.arena)
	b.arena = out
	return Value(out[start:len(out):len(out)])
}

// fieldSlab returns an empty slice with room for n fields. Appending beyond n
// moves to memory of its own.
func (b *Batch) fieldSlab(n int) []Field {
	if cap(b.fields)-len(b.fields) < n {
		b.fields = make([]Field, 0, max(n, fieldsBlock, min(2*cap(b.fields), fieldsMax)))
	}
	start := len(b.fields)
	b.fields = b.fields[:start+n]
	return b.fields[start : start : start+n]
}

// String returns s as a value of the batch.
func (b *Batch) String(s string) Value { return b.SetArena(AppendString(b.Arena(len(s)+5), s)) }

// Text returns s as a string value of the batch.
func (b *Batch) Text(s []byte) Value { return b.SetArena(AppendString(b.Arena(len(s)+5), s)) }

// Int returns i as a value of the batch.
func (b *Batch) Int(i int64) Value { return b.SetArena(AppendInt(b.Arena(9), i)) }

// Float returns f as a value of the batch.
func (b *Batch) Float(f float64) Value { return b.SetArena(AppendFloat(b.Arena(9), f)) }

// Bool returns v as a value of the batch.
func (b *Batch) Bool(v bool) Value { return b.SetArena(AppendBool(b.Arena(1), v)) }
