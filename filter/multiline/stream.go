package multiline

import (
	"container/heap"
	"encoding/binary"
	"math"
	"sync"
	"time"

	"github.com/kagarilog/kagari/event"
	mlparser "github.com/kagarilog/kagari/parser/multiline"
)

// stream is the events of one tag from one source.
type stream struct {
	id, tag string

	mu      sync.Mutex
	gone    bool // it is not in streams any more
	joined  *mlparser.Stream
	pos     int64     // of the latest event, counted from 1
	first   int64     // the lowest position of what was joined since it was set
	batches []arrival // of which events may be held, in order
	from    *origin   // with which its events are emitted

	// Guarded by the mutex of streams; changed only while the stream is locked.
	due  int64 // when it is flushed or, where it holds nothing, forgotten; ns since 1970
	used int64 // when it got events for the last time; ns since 1970
	size int
	idle bool
	at   int // its place in streams.order
}

// arrival is the ack of a batch, held, and the position of its last event.
type arrival struct {
	ack  *event.Ack
	last int64
}

// arrived says that events up to s.pos came with the batch.
func (s *stream) arrived(b *event.Batch) {
	if b.Ack == nil {
		return
	}
	b.Ack.Hold()
	s.batches = append(s.batches, arrival{b.Ack, s.pos})
}

// acksOf makes out's ack release those of the batches that its events came with.
func (s *stream) acksOf(out *event.Batch) {
	from := len(s.batches)
	for from > 0 && s.batches[from-1].last >= s.first {
		from--
	}
	all := make(acks, 0, len(s.batches)-from)
	for _, a := range s.batches[from:] {
		a.ack.Hold()
		all = append(all, a.ack)
	}
	all.into(out)
}

// settle gives up the acks of batches of which nothing is held.
func (s *stream) settle() {
	pos, ok := s.joined.Pending()
	n := 0
	for n < len(s.batches) && (!ok || s.batches[n].last < pos) {
		s.batches[n].ack.Release()
		n++
	}
	if n > 0 {
		rest := copy(s.batches, s.batches[n:])
		clear(s.batches[rest:])
		s.batches = s.batches[:rest]
	}
}

const (
	// streamCost is what a stream costs beside what it holds, roughly, in bytes.
	streamCost = 1024
	// maxStreams is how many streams there are, for aggregators with a tag for
	// each container of a cluster. Those that hold nothing are forgotten first,
	// which makes lines that would continue a record that was emitted stand alone.
	maxStreams = 10_000
	// idleTime is how long a stream without events is kept.
	idleTime = time.Minute
)

// streams is all streams of a filter. A stream's lock is taken before its own.
type streams struct {
	mu    sync.Mutex
	byID  map[string]*stream // by source and tag
	order dueOrder
	size  int   // of all
	most  int   // how many there are at most
	next  int64 // when Run looks at them next; ns since 1970
	id    []byte
}

// lock returns the stream of the batch, locked.
func (ss *streams) lock(b *event.Batch, now int64, create func() *mlparser.Stream) *stream {
	for {
		s := ss.find(b, now, create)
		s.mu.Lock()
		if !s.gone {
			return s
		}
		s.mu.Unlock()
	}
}

func (ss *streams) find(b *event.Batch, now int64, create func() *mlparser.Stream) *stream {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.id = binary.AppendUvarint(ss.id[:0], uint64(len(b.Source)))
	ss.id = append(append(ss.id, b.Source...), b.Tag...)
	if s := ss.byID[string(ss.id)]; s != nil {
		return s
	}
	s := &stream{id: string(ss.id), tag: b.Tag, joined: create(), due: now + int64(idleTime), used: now, idle: true}
	s.joined.Emitted = func(_ *event.Event, pos int64) { s.first = min(s.first, pos) }
	ss.byID[s.id] = s
	heap.Push(&ss.order, s)
	return s
}

// update notes what has become of a locked stream, which got events at used for
// the last time. It returns whether Run must look at the streams earlier than it
// means to.
func (ss *streams) update(s *stream, used int64) (early bool) {
	size := streamCost + len(s.id) + ackCost*cap(s.batches) + s.joined.Size()
	due, holds := s.joined.Deadline()
	if !holds {
		due = used + int64(idleTime)
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.size += size - s.size
	s.size, s.used, s.idle, s.due = size, used, !holds, due
	heap.Fix(&ss.order, s.at)
	return s.due < ss.next
}

// postpone lets a locked stream be due later.
func (ss *streams) postpone(s *stream, due int64) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s.due = due
	heap.Fix(&ss.order, s.at)
}

// forget removes a locked stream.
func (ss *streams) forget(s *stream) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s.gone = true
	delete(ss.byID, s.id)
	heap.Remove(&ss.order, s.at)
	ss.size -= s.size
}

// expired returns a stream that is due. If there is none, it is nil and next is
// when there will be one, or 0 if there are no streams.
func (ss *streams) expired(now int64) (s *stream, next int64) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if len(ss.order) == 0 {
		ss.next = math.MaxInt64
		return nil, 0
	}
	if s := ss.order[0]; s.due <= now {
		return s, 0
	}
	ss.next = ss.order[0].due
	return nil, ss.next
}

// surplus returns a stream to get rid of, or nil if there are not too many and
// they do not hold more than total bytes. It is the one that was used least
// recently of those that hold nothing, or else the one that is due first.
func (ss *streams) surplus(total int) *stream {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if len(ss.order) == 0 || ss.size <= total && len(ss.order) <= ss.most {
		return nil
	}
	var oldest *stream
	for _, s := range ss.order {
		if s.idle && (oldest == nil || s.used < oldest.used) {
			oldest = s
		}
	}
	if oldest != nil {
		return oldest
	}
	return ss.order[0]
}

// any returns one stream, or nil if there is none.
func (ss *streams) any() *stream {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if len(ss.order) == 0 {
		return nil
	}
	return ss.order[0]
}

// dueOrder is a heap of streams.
type dueOrder []*stream

var _ heap.Interface = (*dueOrder)(nil)

func (o dueOrder) Len() int           { return len(o) }
func (o dueOrder) Less(i, j int) bool { return o[i].due < o[j].due }
func (o dueOrder) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].at, o[j].at = i, j
}

// Push adds a stream at the end.
func (o *dueOrder) Push(x any) {
	s := x.(*stream)
	s.at = len(*o)
	*o = append(*o, s)
}

// Pop removes the one at the end.
func (o *dueOrder) Pop() any {
	n := len(*o) - 1
	s := (*o)[n]
	(*o)[n] = nil
	*o = (*o)[:n]
	return s
}
