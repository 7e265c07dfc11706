package tail

import (
	"slices"
	"sync"
)

// queue holds the files that have something to be read, each once. Files are
// pushed by the keeper, and by the reader when there is more in them.
type queue struct {
	mu    sync.Mutex
	files []*file
	wake  chan struct{} // has room for one signal
}

// turnState says where a file is. It is guarded by the queue's lock.
type turnState uint8

const (
	turnIdle    turnState = iota
	turnQueued            // in the queue
	turnReading           // the reader has it
	turnAgain             // the reader has it and it was pushed meanwhile
	turnRetired           // never to be read again
)

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// push says that f may have something to be read.
func (q *queue) push(f *file) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch f.turn {
	case turnIdle:
		f.turn = turnQueued
		q.add(f)
	case turnReading:
		f.turn = turnAgain
	}
}

func (q *queue) add(f *file) {
	q.files = append(q.files, f)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// next gives the reader a file, or nil.
func (q *queue) next() *file {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.files) == 0 {
		return nil
	}
	f := q.files[0]
	q.files[0] = nil
	q.files = q.files[1:]
	f.turn = turnReading
	return f
}

// done ends the turn of a file; more says that it has more to be read.
func (q *queue) done(f *file, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !more && f.turn == turnReading {
		f.turn = turnIdle
		return
	}
	f.turn = turnQueued
	q.add(f)
}

// claim gives the reader a file out of turn, which done ends as usual. It
// returns false if the file is retired.
func (q *queue) claim(f *file) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch f.turn {
	case turnRetired:
		return false
	case turnQueued:
		i := slices.Index(q.files, f)
		q.files = slices.Delete(q.files, i, i+1)
	}
	f.turn = turnReading
	return true
}

// retire takes a file away from the reader for good. It returns false, and
// does nothing, while the file is in the queue or being read.
func (q *queue) retire(f *file) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if f.turn != turnIdle && f.turn != turnRetired {
		return false
	}
	f.turn = turnRetired
	return true
}
