package stream

import (
	"sync"

	"github.com/kagarilog/kagari/event"
)

// snapshot holds the latest events that a CREATE SNAPSHOT task got.
type snapshot struct {
	limit   int   // of events, 0 for none
	seconds int64 // of age, 0 for none
	bytes   int   // of memory

	mu      sync.Mutex
	held    []heldEvent
	size    int
	crowded uint64 // events that had to go because of bytes
}

type heldEvent struct {
	time int64
	meta int // the length of the metadata in data
	data []byte
}

// heldOverhead is what an event takes in a snapshot beside its bytes.
const heldOverhead = 64

// snapshotSeconds is the property seconds, 0 if there is none.
func snapshotSeconds(props []property) int64 {
	for _, p := range props {
		if p.key == "seconds" {
			v, ok := textToNumber([]byte(p.value))
			if !ok {
				return 0
			}
			return toInteger(v, 0)
		}
	}
	return 0
}

// add holds an event and lets go of what is too old or too much. Age is counted
// by the times of events.
func (s *snapshot) add(e *event.Event) {
	rec := e.Record()
	h := heldEvent{time: e.Time, meta: len(e.Meta), data: make([]byte, 0, len(e.Meta)+len(rec))}
	h.data = append(append(h.data, e.Meta...), rec...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = append(s.held, h)
	s.size += len(h.data) + heldOverhead
	drop := 0
	for left := len(s.held); left > 1; left-- {
		old := &s.held[drop]
		full := s.size > s.bytes
		if !full && (s.limit <= 0 || left <= s.limit) && (s.seconds <= 0 || e.Time/1e9-old.time/1e9 <= s.seconds) {
			break
		}
		if full {
			s.crowded++
		}
		s.size -= len(old.data) + heldOverhead
		*old = heldEvent{}
		drop++
	}
	s.held = s.held[drop:]
}

// flush moves all events to out.
func (s *snapshot) flush(out *event.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.held {
		e := out.Add(h.time)
		if h.meta > 0 {
			e.Meta = out.Bytes(h.data[:h.meta])
		}
		e.SetRecord(out.Bytes(h.data[h.meta:]))
	}
	s.held, s.size = nil, 0
}
