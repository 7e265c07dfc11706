package rewrite_tag

import (
	"context"

	"github.com/kagarilog/kagari/event"
)

// maxGroups is how many new tags are gathered before they are emitted: batches
// have memory of their own, and tags made of the record can all be different.
const maxGroups = 32

// stays marks an event that is not moved.
const stays = -1

// work is what filtering one batch needs.
type work struct {
	caps []int  // of the last match
	text []byte // that caps refers to
	tag  []byte // the new tag of the event at hand

	ctx    context.Context // to emit with; nil while nothing has matched
	moved  []int           // for every event the number of its group, or stays
	groups []*event.Batch  // one per new tag, not emitted yet, numbered from sent on
	sent   int             // groups emitted

	capture func(n int) []byte
}

func newWork(caps int) *work {
	w := &work{caps: make([]int, 0, caps)}
	w.capture = func(n int) []byte {
		if 2*n+1 >= len(w.caps) || w.caps[2*n] < 0 {
			return nil
		}
		return w.text[w.caps[2*n]:w.caps[2*n+1]]
	}
	return w
}

// add copies the event to the group of the tag in w and returns its number.
func (w *work) add(e *event.Event) int {
	i := len(w.groups) - 1
	for i >= 0 && w.groups[i].Tag != string(w.tag) {
		i--
	}
	if i < 0 {
		w.groups = append(w.groups, event.NewBatch(string(w.tag)))
		i = len(w.groups) - 1
	}
	w.groups[i].AddCopy(e)
	return w.sent + i
}

// forget empties the groups, whose batches are given away.
func (w *work) forget() {
	clear(w.groups)
	w.groups = w.groups[:0]
}

// reset makes w ready for another batch.
func (w *work) reset() {
	w.text, w.ctx, w.sent = nil, nil, 0
	w.moved = w.moved[:0]
	const keep = 1 << 16 // more is not worth keeping
	if cap(w.moved) > keep {
		w.moved = nil
	}
	if cap(w.tag) > keep {
		w.tag = nil
	}
}
