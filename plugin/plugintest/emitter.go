package plugintest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// Patience is how long the helpers here wait for what must happen. It is long
// because the machine may be busy; nothing waits for all of it but a failing
// test.
const Patience = 20 * time.Second

// Emitter records what it is given, frees the batches and so releases their
// acks. The zero value is ready.
type Emitter struct {
	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	events  []Event
	payload [][]byte
	batches int
	held    []*event.Batch
	hold    bool
	block   chan struct{}
}

var _ plugin.Emitter = (*Emitter)(nil)

// Emit records b. While the emitter is blocked it waits, as the engine does
// when budgets are used up.
func (em *Emitter) Emit(ctx context.Context, b *event.Batch) error {
	em.mu.Lock()
	block := em.block
	em.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			// The ack of events that were not taken is never released.
			b.Ack = nil
			b.Free()
			return ctx.Err()
		}
	}
	em.mu.Lock()
	defer em.mu.Unlock()
	for i := range b.Events {
		e := &b.Events[i]
		meta := "{}"
		if len(e.Meta) > 0 {
			meta = JSON(e.Meta)
		}
		em.events = append(em.events, Event{Tag: b.Tag, Time: e.Time, Meta: meta, Record: JSON(e.Record())})
	}
	if b.Signal == event.Metrics {
		em.payload = append(em.payload, slices.Clone(b.Payload))
	}
	em.batches++
	if em.hold {
		em.held = append(em.held, b)
	} else {
		b.Free()
	}
	em.notify()
	return nil
}

// notify wakes those who wait. The lock is held.
func (em *Emitter) notify() {
	if em.changed != nil {
		close(em.changed)
		em.changed = nil
	}
}

// Block makes Emit wait from now on; unblock ends that.
func (em *Emitter) Block() (unblock func()) {
	em.mu.Lock()
	defer em.mu.Unlock()
	em.block = make(chan struct{})
	return sync.OnceFunc(func() {
		em.mu.Lock()
		defer em.mu.Unlock()
		close(em.block)
		em.block = nil
	})
}

// HoldAcks keeps batches, and so their acks, from now on until release is
// called.
func (em *Emitter) HoldAcks() (release func()) {
	em.mu.Lock()
	defer em.mu.Unlock()
	em.hold = true
	return func() {
		em.mu.Lock()
		held := em.held
		em.held, em.hold = nil, false
		em.mu.Unlock()
		for _, b := range held {
			b.Free()
		}
	}
}

// Events returns the events so far.
func (em *Emitter) Events() []Event {
	em.mu.Lock()
	defer em.mu.Unlock()
	return slices.Clone(em.events)
}

// Records returns the records so far as JSON.
func (em *Emitter) Records() []string {
	var out []string
	for _, e := range em.Events() {
		out = append(out, e.Record)
	}
	return out
}

// Payloads returns the metrics so far, marshalled.
func (em *Emitter) Payloads() [][]byte {
	em.mu.Lock()
	defer em.mu.Unlock()
	return slices.Clone(em.payload)
}

// Batches returns how many batches were emitted.
func (em *Emitter) Batches() int {
	em.mu.Lock()
	defer em.mu.Unlock()
	return em.batches
}

// Wait returns the events once there are at least n.
func (em *Emitter) Wait(t testing.TB, n int) []Event {
	t.Helper()
	em.waitFor(t, func() bool { return len(em.events) >= n }, func() {
		t.Fatalf("%d events were emitted where at least %d were expected: %q", len(em.events), n, em.events)
	})
	return em.Events()
}

// WaitPayloads returns the metrics once there are at least n.
func (em *Emitter) WaitPayloads(t testing.TB, n int) [][]byte {
	t.Helper()
	em.waitFor(t, func() bool { return len(em.payload) >= n }, func() {
		t.Fatalf("%d messages of metrics were emitted where at least %d were expected", len(em.payload), n)
	})
	return em.Payloads()
}

// waitFor waits until done, which is called with the lock held as late is.
func (em *Emitter) waitFor(t testing.TB, done func() bool, late func()) {
	t.Helper()
	limit := time.NewTimer(Patience)
	defer limit.Stop()
	for {
		em.mu.Lock()
		if done() {
			em.mu.Unlock()
			return
		}
		if em.changed == nil {
			em.changed = make(chan struct{})
		}
		changed := em.changed
		em.mu.Unlock()
		select {
		case <-changed:
		case <-limit.C:
			em.mu.Lock()
			defer em.mu.Unlock()
			late()
			return
		}
	}
}
