package engine

import (
	"context"
	"sync"
)

// budget is a number of bytes that may be in memory at once. It is asked
// before a batch is taken, so it may be exceeded by what the callers hold at
// that moment, one batch each.
type budget struct {
	mu    sync.Mutex
	limit int64 // 0: none
	used  int64
	wake  chan struct{} // closed when there is room again; nil when nobody waits
}

// full tells whether a caller would have to wait.
func (b *budget) full() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.limit > 0 && b.used >= b.limit
}

// wait blocks until there is room, or returns the error of ctx.
func (b *budget) wait(ctx context.Context) error {
	for {
		b.mu.Lock()
		if b.limit <= 0 || b.used < b.limit {
			b.mu.Unlock()
			return nil
		}
		if b.wake == nil {
			b.wake = make(chan struct{})
		}
		wake := b.wake
		b.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// add takes n bytes, or gives them back if n is negative.
func (b *budget) add(n int64) {
	b.mu.Lock()
	b.used += n
	if b.wake != nil && b.used < b.limit {
		close(b.wake)
		b.wake = nil
	}
	b.mu.Unlock()
}

// bytes returns what is taken.
func (b *budget) bytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
