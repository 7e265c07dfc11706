package plugin

import "sync"

// Stats is the counters of one plugin instance beside those that the engine
// keeps itself. Counters are made on first use and live as long as the
// instance.
type Stats struct {
	mu       sync.Mutex
	counters []*stat
}

type stat struct {
	name, help string
	label, val string
	counter    Counter
}

// Counter returns the counter of that metric name, such as
// "fluentbit_input_files_opened_total". Label and value may be empty; the name
// of the instance is added as the label "name".
func (s *Stats) Counter(name, help, label, value string) *Counter {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.counters {
		if c.name == name && c.label == label && c.val == value {
			return &c.counter
		}
	}
	c := &stat{name: name, help: help, label: label, val: value}
	s.counters = append(s.counters, c)
	return &c.counter
}

// Drop counts n events that are lost on purpose, by reason: a short lower-case
// phrase with underscores, such as "line_too_long". The caller logs as well.
func (s *Stats) Drop(reason string, n int) {
	s.Counter(DropMetric, "Events that were dropped, by reason.", "reason", reason).Add(n)
}

// Reject counts malformed or refused input that did not become events, by
// reason.
func (s *Stats) Reject(reason string, n int) {
	s.Counter(RejectMetric, "Messages, lines or connections that were refused, by reason.", "reason", reason).Add(n)
}

// The metrics of Drop and Reject.
const (
	DropMetric   = "kagari_dropped_events_total"
	RejectMetric = "kagari_rejected_input_total"
)

// Each calls f for every counter in the order of their making.
func (s *Stats) Each(f func(name, help, label, value string, n uint64)) {
	s.mu.Lock()
	all := append([]*stat(nil), s.counters...)
	s.mu.Unlock()
	for _, c := range all {
		f(c.name, c.help, c.label, c.val, c.counter.Load())
	}
}
