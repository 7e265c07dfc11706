package stream

import (
	"time"

	"github.com/kagarilog/kagari/event"
)

// A window is reported by whoever runs the task. A tumbling window is emptied by
// each Report. A hopping one is a row of slots, closed by Hop every Advance; a
// Report covers all of them and then drops the oldest:
//
//	Size 6, Advance 2    |--0--|--2--|--4--|--6--|--8--|
//	first Report at 6    [................]
//	then every 2               [................]
//
// Fluent Bit subtracts what left the window, which MIN and MAX do not survive;
// here slots are added up.

// Report appends the aggregates of the window that ends now to out. The tag is
// what RECORD_TAG() gives.
func (t *Task) Report(tag string, now time.Time, out *event.Batch) {
	r := t.row(tag, now)
	defer t.release(r)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.plan.order) > 0 && !t.Aggregates() {
		t.order()
		for i, row := range t.sorted {
			if t.st.limit >= 0 && i >= t.st.limit {
				break
			}
			out.Add(row.time).SetRecord(out.Bytes(row.rec))
		}
		t.sorted, t.sortedSize = nil, 0
		return
	}
	if t.opts.Exact && len(t.plan.groups) == 0 && len(t.table.list) == 0 {
		t.table.add(nil, nil, len(t.plan.aggregates)) // No records are a result too.
	}
	t.fresh = false
	if t.st.window.Advance == 0 {
		t.report(&t.table, r, out)
		t.table.reset()
		return
	}
	var all groupTable
	for i := range t.slots {
		all.merge(&t.slots[i], t.plan.aggregates)
	}
	all.merge(&t.table, t.plan.aggregates)
	t.report(&all, r, out)
	if len(t.slots) > 0 {
		t.slotSize -= t.slots[0].size
		t.slots[0] = groupTable{}
		t.slots = t.slots[1:]
	}
}

// Hop closes the slot of a hopping window.
func (t *Task) Hop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slots = append(t.slots, t.table)
	t.slotSize += t.table.size
	t.table = groupTable{}
}

// Fresh tells whether the window holds records that no Report has had.
func (t *Task) Fresh() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fresh
}
