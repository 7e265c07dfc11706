package event

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// ChunkID identifies a chunk for ever: its creation time in nanoseconds and
// eight random bytes. It is the `chunk` option of the forward protocol and the
// file name of stored chunks, whose order is the order of creation.
type ChunkID [16]byte

// NewChunkID makes an id for a chunk created at t.
func NewChunkID(t time.Time) (id ChunkID) {
	binary.BigEndian.PutUint64(id[:8], uint64(t.UnixNano()))
	_, _ = rand.Read(id[8:]) // crypto/rand.Read never fails
	return id
}

// String returns 32 hexadecimal digits.
func (id ChunkID) String() string { return hex.EncodeToString(id[:]) }

// ParseChunkID reads what String wrote.
func ParseChunkID(s string) (id ChunkID, ok bool) {
	if len(s) != 2*len(id) {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(s))
	return id, err == nil
}

// Created is the creation time in the id.
func (id ChunkID) Created() time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(id[:8])))
}

// Chunk is an immutable run of events of one tag, shared by all outputs that
// it is routed to. Whoever keeps it holds it (Hold, Release); after the last
// Release its bytes are reused, so no part of it may outlive that.
type Chunk struct {
	ID     ChunkID
	Tag    string
	Signal Signal
	// Count is the number of events.
	Count int

	data    []byte
	owned   bool // data came from the pool
	acks    []*Ack
	holders atomic.Int32
	onFree  func()
}

// NewChunk makes a chunk with one holder from data that is never written to
// again, such as a stored chunk read back.
func NewChunk(id ChunkID, tag string, signal Signal, count int, data []byte) *Chunk {
	c := &Chunk{ID: id, Tag: tag, Signal: signal, Count: count, data: data}
	c.holders.Store(1)
	return c
}

// Bytes returns the entries (Logs) or the OTLP message (Metrics). Read only.
func (c *Chunk) Bytes() []byte { return c.data }

// Size is the number of bytes.
func (c *Chunk) Size() int { return len(c.data) }

// Hold adds a holder.
func (c *Chunk) Hold() { c.holders.Add(1) }

// Release takes a holder away. The last one acknowledges the events, if
// nobody did before, and gives the memory back.
func (c *Chunk) Release() {
	switch n := c.holders.Add(-1); {
	case n == 0:
		c.Acknowledge()
		if c.owned {
			putBuffer(c.data)
		}
		c.data = nil
		if c.onFree != nil {
			c.onFree()
		}
	case n < 0:
		panic("BUG: chunk released more often than held")
	}
}

// OnFree sets what is called after the last Release. It must not block.
func (c *Chunk) OnFree(f func()) { c.onFree = f }

// Acknowledge tells the sources that the chunk no longer needs them. The
// holder that made the chunk may call it once, before it shares the chunk or
// when all others are gone.
func (c *Chunk) Acknowledge() {
	acks := c.acks
	c.acks = nil
	for _, a := range acks {
		a.Release()
	}
}

// Abandon forgets the acks without telling anybody: the sources keep the
// events and will send them again.
func (c *Chunk) Abandon() { c.acks = nil }

// Cursor returns a cursor before the first event. Logs only.
func (c *Chunk) Cursor() Cursor { return Cursor{rest: c.data, Index: -1} }

// Select makes a chunk of the events with the given indexes, which must rise.
// It has the same tag and id and no acks.
func (c *Chunk) Select(indexes []int) *Chunk {
	var data []byte
	n := 0
	for cur := c.Cursor(); n < len(indexes) && cur.Next(); {
		if cur.Index == indexes[n] {
			data = append(data, cur.entry...)
			n++
		}
	}
	return NewChunk(c.ID, c.Tag, c.Signal, n, data)
}

// Cursor walks over the events of a chunk:
//
//	for cur := c.Cursor(); cur.Next(); {
//		use(cur.Time, cur.Record)
//	}
type Cursor struct {
	Index  int   // from 0
	Time   int64 // nanoseconds since the Unix epoch
	Meta   Value // metadata map
	Record Value // record map

	entry []byte
	rest  []byte
	err   error
}

// entryHead is what every entry written by a Builder starts with.
const entryHead = 2 + 10

// Next moves to the next event and tells whether there is one.
func (cur *Cursor) Next() bool {
	b := cur.rest
	if len(b) == 0 || cur.err != nil {
		return false
	}
	if len(b) < entryHead+2 || b[0] != 0x92 || b[1] != 0x92 || b[2] != 0xd7 || b[3] != 0 {
		cur.err = ErrMalformed
		return false
	}
	sec, nsec := binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	rest := b[entryHead:]
	if rest[0] == 0x80 {
		cur.Meta, rest = emptyMap, rest[1:]
	} else if cur.Meta, rest, cur.err = Next(rest); cur.err != nil {
		return false
	}
	if cur.Record, rest, cur.err = Next(rest); cur.err != nil {
		return false
	}
	cur.Time = int64(sec)*1e9 + int64(nsec)
	cur.entry, cur.rest = b[:len(b)-len(rest)], rest
	cur.Index++
	return true
}

// Entry returns the event's entry, [[time, meta], record].
func (cur *Cursor) Entry() []byte { return cur.entry }

// Err tells why Next stopped early; chunks that the router made never do.
func (cur *Cursor) Err() error { return cur.err }

// Builder seals batches into a chunk. It has one owner.
type Builder struct {
	Tag     string
	Signal  Signal
	Created time.Time

	data  []byte
	count int
	acks  []*Ack
}

// NewBuilder starts a chunk.
func NewBuilder(tag string, signal Signal, now time.Time) *Builder {
	return &Builder{Tag: tag, Signal: signal, Created: now}
}

// Size is the number of bytes sealed so far.
func (bu *Builder) Size() int { return len(bu.data) }

// Count is the number of events sealed so far.
func (bu *Builder) Count() int { return bu.count }

// Seal appends the batch's events from the given index on, until the chunk
// holds limit bytes or more, and returns the index of the first one left. The
// chunk then holds the batch's ack.
func (bu *Builder) Seal(b *Batch, from, limit int) int {
	if len(bu.acks) == 0 || bu.acks[len(bu.acks)-1] != b.Ack {
		if b.Ack != nil {
			b.Ack.Hold()
			bu.acks = append(bu.acks, b.Ack)
		}
	}
	if b.Signal == Metrics {
		bu.data = append(bu.grow(len(b.Payload)), b.Payload...)
		bu.count++
		return len(b.Events)
	}
	for i := from; i < len(b.Events); i++ {
		if len(bu.data) >= limit {
			return i
		}
		e := &b.Events[i]
		dst := bu.grow(e.size() + len(e.Meta) + entryHead + 8)
		dst = appendHead(dst, e.Time)
		if len(e.Meta) == 0 {
			dst = append(dst, 0x80)
		} else {
			dst = append(dst, e.Meta...)
		}
		bu.data = e.appendRecord(dst)
		bu.count++
	}
	return len(b.Events)
}

// appendHead appends the array headers and the time of an entry. Times before
// 1970 or after 2106 do not fit the protocol's 32 bits and are clamped.
func appendHead(dst []byte, ns int64) []byte {
	sec, nsec := ns/1e9, ns%1e9
	if nsec < 0 {
		sec, nsec = sec-1, nsec+1e9
	}
	if sec < 0 {
		sec, nsec = 0, 0
	} else if sec > 1<<32-1 {
		sec, nsec = 1<<32-1, 999999999
	}
	dst = append(dst, 0x92, 0x92, 0xd7, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(sec))
	return binary.BigEndian.AppendUint32(dst, uint32(nsec))
}

// grow returns data with room for n more bytes.
func (bu *Builder) grow(n int) []byte {
	if need := len(bu.data) + n; need > cap(bu.data) {
		bigger := getBuffer(max(need, 2*cap(bu.data)))
		bigger = append(bigger, bu.data...)
		putBuffer(bu.data)
		bu.data = bigger
	}
	return bu.data
}

// Chunk ends the building and returns the chunk with one holder.
func (bu *Builder) Chunk() *Chunk {
	c := NewChunk(NewChunkID(bu.Created), bu.Tag, bu.Signal, bu.count, bu.data)
	c.owned, c.acks = true, bu.acks
	bu.data, bu.acks, bu.count = nil, nil, 0
	return c
}

// Discard ends the building and releases the acks it holds.
func (bu *Builder) Discard() { bu.Chunk().Release() }

// The buffers of chunks are recycled by size class, powers of two from 4 KiB
// to 4 MiB; others are left to the garbage collector.
const (
	minClass = 12
	maxClass = 22
)

var buffers [maxClass - minClass + 1]sync.Pool

func getBuffer(n int) []byte {
	class := max(bits.Len(uint(n-1)), minClass)
	if class > maxClass {
		return make([]byte, 0, n)
	}
	if p, _ := buffers[class-minClass].Get().(*[]byte); p != nil {
		return (*p)[:0]
	}
	return make([]byte, 0, 1<<class)
}

func putBuffer(b []byte) {
	class := bits.Len(uint(cap(b))) - 1
	if class < minClass || class > maxClass || cap(b) != 1<<class {
		return
	}
	b = b[:0]
	buffers[class-minClass].Put(&b)
}
