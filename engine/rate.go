package engine

import (
	"math"
	"sync/atomic"
	"time"
)

// rate is how fast the records of a source come, measured between two looks.
type rate struct {
	at             time.Time // of the last look
	records, bytes uint64    // at that time

	recordsPerSecond, bytesPerSecond atomic.Uint64 // bits of float64
}

// shortestLook is the time that a rate is taken over at least.
const shortestLook = time.Second

// look measures. One goroutine calls it.
func (r *rate) look(now time.Time, records, bytes uint64) {
	past := now.Sub(r.at)
	if !r.at.IsZero() {
		if past < shortestLook {
			return
		}
		r.recordsPerSecond.Store(math.Float64bits(float64(records-r.records) / past.Seconds()))
		r.bytesPerSecond.Store(math.Float64bits(float64(bytes-r.bytes) / past.Seconds()))
	}
	r.at, r.records, r.bytes = now, records, bytes
}

// measure looks at all sources.
func (e *Engine) measure() {
	now := time.Now()
	for _, s := range e.sources() {
		s.rate.look(now, s.records.Load(), s.bytes.Load())
	}
}
