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

// apply runs the filter over the batch. A failing filter is logged and leaves
// the batch as it is.
func (st *step) apply(ctx context.Context, b *event.Batch) {
	if b.Signal != event.Logs || len(b.Events) == 0 {
		return
	}
	before, size := len(b.Events), b.Size()
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
	if d := len(b.Events) - before; d > 0 {
		st.added.Add(uint64(d))
	} else if d < 0 {
		st.dropped.Add(uint64(-d))
		if left := b.Size(); left < size {
			st.droppedBytes.Add(uint64(size - left))
		}
	}
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
