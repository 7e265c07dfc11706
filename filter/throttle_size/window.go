package throttle_size

import (
	"sync"
	"time"
)

// tolerance is by how much a rate may exceed the limit, in bytes.
const tolerance = 0.001

// windows counts bytes by name over the last intervals.
type windows struct {
	limit    float64 // bytes in an interval
	panes    int
	interval time.Duration
	keep     time.Duration // how long an idle window is kept
	most     int           // how many windows there can be
	now      func() time.Time

	mu     sync.Mutex
	since  time.Time // when the present interval began
	tick   int64     // its number
	byName map[string]*window
}

// window is what passed under one name. It slides when it is looked at.
type window struct {
	panes []int64 // a ring; pane tick%len is the present one
	tick  int64   // up to which it has slid
	total int64
	used  int64 // the last tick with bytes
}

// slide moves all windows to the present and forgets those that are idle. The
// lock is held.
func (w *windows) slide() {
	passed := int64(w.now().Sub(w.since) / w.interval)
	if passed <= 0 {
		return
	}
	w.since = w.since.Add(time.Duration(passed) * w.interval)
	w.tick += passed
	for name, win := range w.byName {
		if w.tick-win.used > int64(w.keep/w.interval) {
			delete(w.byName, name)
		}
	}
}

// add counts size bytes under the name if the limit allows that, and tells
// whether it does; counted is false if there are too many names. The lock is
// held.
func (w *windows) add(name []byte, size int64) (passes, counted bool) {
	win := w.byName[string(name)]
	if win == nil {
		switch {
		case w.exceeds(size):
			return false, true
		case len(w.byName) >= w.most:
			return true, false
		}
		win = &window{panes: make([]int64, w.panes), tick: w.tick, used: w.tick}
		w.byName[string(name)] = win
	}
	win.slide(w.tick)
	if w.exceeds(win.total + size) {
		return false, true
	}
	win.panes[w.tick%int64(len(win.panes))] += size
	win.total += size
	if size > 0 {
		win.used = w.tick
	}
	return true, true
}

func (w *windows) exceeds(total int64) bool {
	return float64(total)/float64(w.panes)-w.limit > tolerance
}

// each calls f for every window.
func (w *windows) each(f func(name string, total int64)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slide()
	for name, win := range w.byName {
		win.slide(w.tick)
		f(name, win.total)
	}
}

func (win *window) slide(tick int64) {
	n := int64(len(win.panes))
	for i := range min(tick-win.tick, n) {
		at := (win.tick + 1 + i) % n
		win.total -= win.panes[at]
		win.panes[at] = 0
	}
	win.tick = tick
}
