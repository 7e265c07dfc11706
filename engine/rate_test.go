package engine

import (
	"math"
	"testing"
	"time"
)

func TestRatesAreTakenOverASecondAtLeast(t *testing.T) {
	var r rate
	now := time.Unix(1000, 0)
	f := func(after time.Duration, records, bytes uint64, wantRecords, wantBytes float64) {
		t.Helper()
		now = now.Add(after)
		r.look(now, records, bytes)
		gotRecords, gotBytes := math.Float64frombits(r.recordsPerSecond.Load()), math.Float64frombits(r.bytesPerSecond.Load())
		if gotRecords != wantRecords || gotBytes != wantBytes {
			t.Errorf("%v records and %v bytes per second, want %v and %v", gotRecords, gotBytes, wantRecords, wantBytes)
		}
	}
	f(0, 100, 1000, 0, 0)
	f(500*time.Millisecond, 110, 1100, 0, 0)
	f(1500*time.Millisecond, 120, 1400, 10, 200)
	f(time.Second, 120, 1400, 0, 0)
}

func TestHistogram(t *testing.T) {
	var h histogram
	m := &metrics{}
	m.histogram("h", "", latencyBounds, &h)
	if len(m.list) > 0 {
		t.Errorf("an empty histogram is shown: %+v", m.list)
	}
	for _, d := range []time.Duration{0, 500 * time.Millisecond, 501 * time.Millisecond, 30 * time.Second, time.Hour} {
		h.observe(latencyBounds, d)
	}
	m.histogram("h", "", latencyBounds, &h)
	got := m.list[0]
	if b := got.Buckets; b.Counts[0] != 2 || b.Counts[1] != 1 || b.Counts[7] != 1 || b.Counts[8] != 1 || b.Count() != 5 || got.Value != 3631.001 {
		t.Errorf("got %+v %+v", got, *b)
	}
}
