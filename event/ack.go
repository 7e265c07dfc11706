package event

import "sync/atomic"

// Ack tells the source of events that nobody needs them any more: they were
// delivered everywhere, are safely on disk, or were dropped on purpose. It
// counts the batches and chunks that still hold some of the events and calls
// its function once, when the last lets go, on the goroutine that let go; the
// function must not block.
type Ack struct {
	holders atomic.Int64
	done    func()
}

// NewAck returns an Ack with one holder, the caller.
func NewAck(done func()) *Ack {
	a := &Ack{done: done}
	a.holders.Store(1)
	return a
}

// Hold adds a holder, for events that now live in a second place. A nil Ack is
// allowed and does nothing.
func (a *Ack) Hold() {
	if a != nil && a.holders.Add(1) <= 1 {
		panic("BUG: ack held after it was done")
	}
}

// Release takes a holder away. A nil Ack is allowed and does nothing.
func (a *Ack) Release() {
	if a == nil {
		return
	}
	switch n := a.holders.Add(-1); {
	case n == 0:
		a.done()
	case n < 0:
		panic("BUG: ack released more often than held")
	}
}
