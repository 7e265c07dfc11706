package admin

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// HealthOptions are the HC_ options of the service section.
type HealthOptions struct {
	Enabled           bool
	ErrorsCount       int // HC_Errors_Count
	RetryFailureCount int // HC_Retry_Failure_Count
	Period            time.Duration
}

// health compares the counters of errors and of retries that failed for good
// with their values one period ago.
type health struct {
	opts HealthOptions

	mu      sync.Mutex
	raw     sample   // as read last
	samples []sample // of what was counted since the start, rising in time; the first at least one period old
}

type sample struct {
	at                    time.Time
	errors, retriesFailed float64
}

// rise is how far a counter rose. After a reload it starts again from zero.
func rise(from, to float64) float64 {
	if to < from {
		return to
	}
	return to - from
}

func newHealth(opts HealthOptions) *health {
	if opts.Period <= 0 {
		opts.Period = time.Minute
	}
	return &health{opts: opts}
}

// watch takes a sample now and then, until ctx ends.
func (h *health) watch(ctx context.Context, r Router) {
	tick := time.NewTicker(max(h.opts.Period/60, 100*time.Millisecond))
	defer tick.Stop()
	for {
		h.take(r, time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (h *health) take(r Router, now time.Time) {
	s := sample{at: now}
	for _, m := range r.Metrics() {
		switch m.Name {
		case "fluentbit_output_errors_total":
			s.errors += m.Value
		case "fluentbit_output_retries_failed_total":
			s.retriesFailed += m.Value
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	sum := s
	if n := len(h.samples); n > 0 {
		last := h.samples[n-1]
		sum.errors = last.errors + rise(h.raw.errors, s.errors)
		sum.retriesFailed = last.retriesFailed + rise(h.raw.retriesFailed, s.retriesFailed)
	}
	h.raw = s
	h.samples = append(h.samples, sum)
	for len(h.samples) > 1 && now.Sub(h.samples[1].at) >= h.opts.Period {
		h.samples = h.samples[1:]
	}
}

// verdict is the answer of /api/v2/health.
type verdict struct {
	Status            string `json:"status"`
	Errors            int    `json:"errors"`
	RetriesFailed     int    `json:"retries_failed"`
	ErrorLimit        int    `json:"error_limit"`
	RetryFailureLimit int    `json:"retry_failure_limit"`
	PeriodLimit       int    `json:"period_limit"`
}

func (h *health) verdict() verdict {
	v := verdict{Status: "ok", ErrorLimit: h.opts.ErrorsCount, RetryFailureLimit: h.opts.RetryFailureCount, PeriodLimit: int(h.opts.Period.Seconds())}
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.samples); n > 0 {
		first, last := h.samples[0], h.samples[n-1]
		v.Errors = int(last.errors - first.errors)
		v.RetriesFailed = int(last.retriesFailed - first.retriesFailed)
	}
	if h.opts.Enabled && (v.Errors > v.ErrorLimit || v.RetriesFailed > v.RetryFailureLimit) {
		v.Status = "error"
	}
	return v
}

func (s *Server) healthText(w http.ResponseWriter, _ *http.Request) {
	if s.health.verdict().Status != "ok" {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte("error\n"))
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

func (s *Server) healthJSON(w http.ResponseWriter, _ *http.Request) {
	v := s.health.verdict()
	status := http.StatusOK
	if v.Status != "ok" {
		status = http.StatusInternalServerError
	}
	s.answer(w, status, v)
}
