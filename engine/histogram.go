package engine

import (
	"slices"
	"sync"
	"time"

	"github.com/kagarilog/kagari/plugin"
)

// The upper bounds of histograms in seconds, those of Fluent Bit.
var (
	latencyBounds = []float64{0.5, 1, 1.5, 2.5, 5, 10, 20, 30}
	waitBounds    = []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 30, 60}
)

// histogram counts times by their length. Its zero value is ready.
type histogram struct {
	mu     sync.Mutex
	counts []uint64
	sum    time.Duration
}

// observe counts one time, by bounds that are the same in all calls.
func (h *histogram) observe(bounds []float64, d time.Duration) {
	n, _ := slices.BinarySearch(bounds, d.Seconds())
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts == nil {
		h.counts = make([]uint64, len(bounds)+1)
	}
	h.counts[n]++
	h.sum += d
}

// histogram adds a histogram, unless nothing was observed yet.
func (m *metrics) histogram(name, help string, bounds []float64, h *histogram, labels ...plugin.Label) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts == nil {
		return
	}
	m.list = append(m.list, plugin.Metric{Name: name, Help: help, Type: plugin.HistogramMetric, Labels: labels, Value: h.sum.Seconds(),
		Buckets: &plugin.Buckets{Bounds: bounds, Counts: slices.Clone(h.counts)}})
}
