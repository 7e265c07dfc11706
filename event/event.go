package event

import "time"

// Field is one top-level entry of a record. Key is an encoded string (in rare
// foreign records another type); both alias the batch's arena or constants
// and must not be written to.
type Field struct {
	Key Value
	Val Value
}

// Name returns the key's text, or nil if the key is no string.
func (f Field) Name() []byte {
	s, _ := f.Key.Str()
	return s
}

// Is tells whether the key is the text name, be it a string or binary.
func (f Field) Is(name string) bool {
	// A header has one to five bytes. Most keys differ in length, and this much
	// is inlined.
	head := len(f.Key) - len(name)
	return 1 <= head && head <= 5 && f.Key.is(name)
}

func (v Value) is(name string) bool {
	if v[0]&0xe0 == 0xa0 {
		return string(v[1:]) == name
	}
	s, ok := v.Str()
	return ok && string(s) == name
}

// Event is one record of a batch. It is valid until its batch is sealed or
// dropped, and a pointer to it until the batch gets another event.
type Event struct {
	// Time is nanoseconds since the Unix epoch.
	Time int64
	// Meta is the metadata map, nil for an empty one.
	Meta Value

	packed Value   // the record as one map, or nil when opened
	fields []Field // the record when opened
	batch  *Batch
}

// emptyMap is the encoding of {}.
var emptyMap = Value{0x80}

// SetTime sets the time from t.
func (e *Event) SetTime(t time.Time) { e.Time = t.UnixNano() }

// Batch returns the batch that owns the event; its arena is the place for
// bytes that the event refers to.
func (e *Event) Batch() *Batch { return e.batch }

// SetRecord makes packed, one complete msgpack map, the event's record. The
// bytes must belong to the batch's arena or never change.
func (e *Event) SetRecord(packed Value) { e.packed, e.fields = packed, nil }

// Record returns the record as one msgpack map, packing it into the arena if
// it was opened.
func (e *Event) Record() Value {
	if e.packed == nil {
		e.packed = e.batch.SetArena(e.appendRecord(e.batch.Arena(e.size())))
	}
	return e.packed
}

// Fields opens the record and returns its top-level fields in order. The
// slice may be edited in place; hand a longer or shorter one to SetFields.
func (e *Event) Fields() []Field {
	if e.packed != nil {
		e.open()
	}
	return e.fields
}

// SetFields replaces the record by fields, which must come from Fields or be
// the caller's own for good.
func (e *Event) SetFields(fields []Field) { e.packed, e.fields = nil, fields }

// Append adds a field at the end of the record.
func (e *Event) Append(key, val Value) {
	fields := e.Fields()
	if n := len(fields); n == cap(fields) {
		fields = append(e.batch.fieldSlab(n+n/2+spareFields), fields...)
	}
	e.SetFields(append(fields, Field{key, val}))
}

// Get returns the value of a top-level key without opening the record. The
// last of duplicate keys wins, as in Fluent Bit.
func (e *Event) Get(name string) (Value, bool) {
	if e.packed != nil {
		return e.packed.Get(name)
	}
	for i := len(e.fields) - 1; i >= 0; i-- {
		if s, ok := e.fields[i].Key.Str(); ok && string(s) == name {
			return e.fields[i].Val, true
		}
	}
	return nil, false
}

// Len returns the number of top-level fields.
func (e *Event) Len() int {
	if e.packed != nil {
		n, _, _ := ReadMapHeader(e.packed)
		return n
	}
	return len(e.fields)
}

// spareFields is how many fields filters can append to an opened record before
// it has to move.
const spareFields = 4

// open splits the packed record into fields taken from the batch's field slab.
func (e *Event) open() {
	p := e.packed
	n, rest, err := ReadMapHeader(p)
	if err != nil {
		n, rest = 0, nil
	}
	fields := e.batch.fieldSlab(n + spareFields)[:n]
	at := len(p) - len(rest)
	for i := range fields {
		// Most keys and values are short strings, which cost no call.
		mid := at
		if mid < len(p) && p[mid]&0xe0 == 0xa0 {
			mid += 1 + int(p[mid]&0x1f)
		} else {
			mid = behind(p, mid)
		}
		end := mid
		if end < len(p) && p[end]&0xe0 == 0xa0 {
			end += 1 + int(p[end]&0x1f)
		} else {
			end = behind(p, end)
		}
		if end > len(p) {
			fields = fields[:i]
			break
		}
		f := &fields[i]
		f.Key, f.Val = p[at:mid:mid], p[mid:end:end]
		at = end
	}
	e.packed, e.fields = nil, fields
}

// Size is the number of bytes that the event takes in a chunk, roughly.
func (e *Event) Size() int { return e.size() + max(len(e.Meta), 1) + entryHead }

// size is an upper bound of the packed record's length.
func (e *Event) size() int {
	if e.packed != nil {
		return len(e.packed)
	}
	n := 5
	for _, f := range e.fields {
		n += len(f.Key) + len(f.Val)
	}
	return n
}

// appendRecord appends the record as one map.
func (e *Event) appendRecord(dst []byte) []byte {
	if e.packed != nil {
		return append(dst, e.packed...)
	}
	dst = AppendMapHeader(dst, len(e.fields))
	for _, f := range e.fields {
		dst = append(dst, f.Key...)
		dst = append(dst, f.Val...)
	}
	return dst
}
