package engine

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// step is a filter or processor in its place.
type step struct {
	id        string
	plugin    string
	filter    plugin.Filter
	pattern   pattern    // filters only
	condition *condition // processors only, or nil
	log       *slog.Logger
	env       *plugin.Env
	emitter   *source // where events that the filter makes enter

	// Of processors: the name of the input or output, which of the two it is, and
	// the place among its processors.
	owner, scope string
	stage        int

	records, bytes, added, dropped, droppedBytes atomic.Uint64
	calls, errors                                atomic.Uint64
	failure                                      failure
}

// applyAll runs steps one after the other over the batch.
func applyAll(ctx context.Context, b *event.Batch, steps []*step) {
	if len(steps) == 0 {
		return
	}
	size := b.Size()
	for _, st := range steps {
		size = st.apply(ctx, b, size)
	}
}

// apply runs the filter over the batch. A failing filter is logged and leaves
// the batch as it is.
//
// size is the bytes of the batch for the metrics, and the result that for the
// next step. They are counted anew only when the number of events has changed:
// to count before every step costs more than many filters do.
func (st *step) apply(ctx context.Context, b *event.Batch, size int) int {
	if b.Signal != event.Logs || len(b.Events) == 0 {
		return size
	}
	before := len(b.Events)
	st.bytes.Add(uint64(size))
	st.records.Add(uint64(before))
	st.calls.Add(1)
	var err error
	if st.condition == nil {
		err = protect(func() error { return st.filter.Filter(ctx, b) })
	} else {
		err = st.applyWhere(ctx, b)
	}
	if err != nil {
		st.errors.Add(1)
		st.failure.note(err)
		st.log.Error("the filter failed; the records go on as they are", "error", err)
	}
	d := len(b.Events) - before
	if d == 0 {
		return size
	}
	left := b.Size()
	if d > 0 {
		st.added.Add(uint64(d))
		return left
	}
	st.dropped.Add(uint64(-d))
	if left < size {
		st.droppedBytes.Add(uint64(size - left))
	}
	return left
}

// applyWhere runs the filter over the runs of neighbouring events for which
// the condition holds, so that the order stays. Every run is edited where it
// stands; only what grows moves the events to another slice.
func (st *step) applyWhere(ctx context.Context, b *event.Batch) error {
	all := b.Events
	out, moved := all[:0], false
	// put keeps events; those before next have been dealt with.
	put := func(events []event.Event, next int) {
		if !moved && len(out)+len(events) > next {
			out, moved = append(make([]event.Event, 0, len(all)+len(events)), out...), true
		}
		out = append(out, events...)
	}
	var failed error
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && st.condition.holds(&all[j]) {
			j++
		}
		if j == i {
			put(all[i:i+1], i+1)
			i++
			continue
		}
		b.Events = all[i:j:j]
		if err := protect(func() error { return st.filter.Filter(ctx, b) }); err != nil {
			failed = err
		}
		put(b.Events, j)
		i = j
	}
	if !moved {
		clear(all[len(out):])
	}
	b.Events = out
	return failed
}
