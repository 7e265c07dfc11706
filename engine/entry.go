package engine

import (
	"sync"
	"sync/atomic"

	"github.com/kagarilog/kagari/buffer"
	"github.com/kagarilog/kagari/event"
)

// entryOverhead is what a chunk costs beside its data: the structures that
// hold it and its deliveries, and the smallest buffer. It counts against the
// budgets, so that a flood of tags with one event each is held back as well.
const entryOverhead = 5 << 10

// place is where the data of an entry is.
type place uint8

const (
	inMemory place = iota
	stored         // on disk, and still in memory
	onDisk
)

// entry is a closed chunk on its way to one or more outputs. The last of its
// deliveries to finish removes it.
type entry struct {
	engine *Engine
	source *source // nil for a chunk found at start
	info   buffer.Info
	// stored is what each delivery counts against the quota of its output.
	stored int64

	holders atomic.Int32

	mu    sync.Mutex
	at    place
	chunk *event.Chunk // nil when onDisk
	cost  int64        // bytes taken from a budget while in memory

	done   func()    // called after the last delivery, if set
	failed []Failure // of a replay
}

// newEntry takes over a chunk just closed, and cost from the budgets.
func newEntry(s *source, c *event.Chunk, cost int64) *entry {
	en := &entry{engine: s.engine, source: s, chunk: c, cost: cost, info: buffer.Info{
		ID: c.ID, Input: s.id, Tag: c.Tag, Signal: c.Signal, Count: c.Count, Size: c.Size(), Created: c.ID.Created()}}
	en.holders.Store(1)
	en.count(inMemory, 1)
	return en
}

// storedEntry is an entry of a chunk found on disk.
func storedEntry(e *Engine, info buffer.Info) *entry {
	en := &entry{engine: e, info: info, at: onDisk, stored: int64(info.Size)}
	en.holders.Store(1)
	en.count(onDisk, 1)
	return en
}

// count keeps the numbers of chunks by place.
func (en *entry) count(at place, n int64) {
	e, s := en.engine, en.source
	switch at {
	case inMemory:
		e.memoryChunks.Add(n)
	case stored:
		e.upChunks.Add(n)
	case onDisk:
		e.downChunks.Add(n)
	}
	if s != nil {
		if at == onDisk {
			s.down.Add(n)
		} else {
			s.up.Add(n)
			s.busyBytes.Add(n * int64(en.info.Size))
		}
	}
}

// move changes the place, the numbers and the budget that pays. en.mu is held.
func (en *entry) move(to place, cost int64) {
	en.count(en.at, -1)
	en.pay(-en.cost)
	en.at, en.cost = to, cost
	en.count(to, 1)
	en.pay(cost)
}

func (en *entry) pay(n int64) {
	switch {
	case n == 0:
	case en.at == inMemory:
		en.source.memory.add(n)
		en.engine.memory.add(n)
	default:
		en.engine.up.add(n)
		if en.source == nil {
			en.engine.backlog.add(n)
		}
	}
}

// load returns the chunk with a holder for the caller, reading it from disk if
// need be.
func (en *entry) load() (*event.Chunk, error) {
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.at == onDisk {
		c, err := en.engine.dir.Read(en.info)
		if err != nil {
			return nil, err
		}
		en.chunk = c
		en.move(stored, int64(c.Size())+entryOverhead)
	}
	en.chunk.Hold()
	return en.chunk, nil
}

// persisted notes that the chunk is safe on disk: its sources may forget the
// events, and it leaves the budgets of memory. It also leaves memory if there
// is much already.
func (en *entry) persisted() {
	en.mu.Lock()
	defer en.mu.Unlock()
	en.chunk.Acknowledge()
	en.move(stored, en.cost)
	en.engine.fresh.add(1)
	en.spill()
}

// rest lets a chunk leave memory until it is tried again.
func (en *entry) rest() {
	en.mu.Lock()
	defer en.mu.Unlock()
	en.spill()
}

// spill drops the data from memory if it is stored and memory is short.
// en.mu is held.
func (en *entry) spill() {
	if en.at == stored && (en.engine.up.full() || en.source == nil && en.engine.backlog.full()) {
		en.chunk.Release()
		en.chunk = nil
		en.move(onDisk, 0)
	}
}

func (en *entry) hold() { en.holders.Add(1) }

// release ends one delivery; after the last the chunk is gone and its events
// acknowledged.
func (en *entry) release() {
	if en.holders.Add(-1) > 0 {
		return
	}
	en.remove()
	if en.done != nil {
		en.done()
	}
}

func (en *entry) remove() {
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.chunk != nil {
		en.chunk.Release()
		en.chunk = nil
	}
	en.pay(-en.cost)
	en.count(en.at, -1)
	if en.at == inMemory {
		return
	}
	if en.source != nil {
		en.engine.fresh.add(-1)
	}
	if err := en.engine.dir.Delete(en.info); err != nil {
		en.engine.log.Error("cannot delete a delivered chunk; it will be sent again at the next start",
			"chunk", en.info.ID.String(), "error", err)
	}
}

// only tells whether the chunk is nowhere but in memory.
func (en *entry) only() bool {
	en.mu.Lock()
	defer en.mu.Unlock()
	return en.at == inMemory
}

// keep ends one delivery without success at the end of the process: a stored
// chunk stays for the next start, and of one in memory the events are left
// unacknowledged, so that a source which keeps its data sends them again.
func (en *entry) keep() (saved bool) {
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.at != inMemory {
		return true
	}
	en.chunk.Abandon()
	return false
}
