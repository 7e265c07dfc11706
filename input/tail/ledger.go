package tail

import "sync"

// mark is a place in a file between two lines: an offset together with the
// bytes in front of it.
type mark struct {
	offset int64
	before marker
}

// ledger knows which parts of a file were emitted and which of them are
// acknowledged. Acks come in any order and on any goroutine; the mark that may
// be stored moves only when everything in front of it is acknowledged.
type ledger struct {
	mu      sync.Mutex
	entries []*entry // emitted and not stored yet, in the order of the file
	acked   mark
	last    mark // end of the last entry, or acked
	changed bool // acked is not stored
}

// entry is one emitted batch.
type entry struct {
	ledger *ledger
	end    mark
	done   bool
	gone   bool // the file was truncated since
}

// start sets the mark that reading starts at.
func (l *ledger) start(m mark) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		e.gone = true
	}
	l.entries = nil
	l.acked, l.last, l.changed = m, m, true
}

// begin adds an entry for a batch that is about to be emitted and that reaches
// to end, or to where the last one did if end is nil.
func (l *ledger) begin(end *mark) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if end != nil {
		l.last = *end
	}
	e := &entry{ledger: l, end: l.last}
	l.entries = append(l.entries, e)
	return e
}

// abort takes the last entry back: its batch was not taken.
func (l *ledger) abort(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.entries); n > 0 && l.entries[n-1] == e {
		l.entries = l.entries[:n-1]
		l.last = l.acked
		if n > 1 {
			l.last = l.entries[n-2].end
		}
	}
}

// skip says that there is nothing to emit between the last entry and m.
func (l *ledger) skip(m mark) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = m
	if n := len(l.entries); n > 0 {
		l.entries[n-1].end = m
		return
	}
	l.acked, l.changed = m, true
}

// release is called when the batch of e is acknowledged.
func (e *entry) release() {
	l := e.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.gone {
		return
	}
	e.done = true
	n := 0
	for n < len(l.entries) && l.entries[n].done {
		l.acked, l.changed = l.entries[n].end, true
		n++
	}
	if n > 0 {
		clear(l.entries[:n])
		l.entries = l.entries[n:]
	}
}

// take returns the mark to be stored and whether it is new since the last
// call.
func (l *ledger) take() (m mark, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	changed = l.changed
	l.changed = false
	return l.acked, changed
}

// again makes the next take say that the mark is new: storing it failed.
func (l *ledger) again() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed = true
}

// end returns where the last entry that was taken ends.
func (l *ledger) end() mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// settled tells whether everything emitted is acknowledged.
func (l *ledger) settled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries) == 0
}
