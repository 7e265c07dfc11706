package admin

import (
	"fmt"
	"net/http"
	"time"

	"github.com/kagarilog/kagari/plugin"
)

// Readiness is the answer of /api/v1/ready: whether the router takes events and
// gets rid of them in time. Health is about failures that were counted; this is
// about now.
type Readiness struct {
	Status string `json:"status"` // ready or not_ready
	// Reasons says why it is not ready, for people.
	Reasons []string     `json:"reasons"`
	Phase   plugin.Phase `json:"phase"`
	MaxAge  float64      `json:"max_age_seconds"` // 0: any age is good
	// Inputs are those that do not run, Outputs all.
	Inputs  []ReadyInput  `json:"inputs"`
	Outputs []ReadyOutput `json:"outputs"`
}

// ReadyInput is an input that does not run.
type ReadyInput struct {
	Name      string           `json:"name"`
	Condition plugin.Condition `json:"condition"`
	LastError string           `json:"last_error,omitempty"`
}

// ReadyOutput is an output and how long its oldest event has waited.
type ReadyOutput struct {
	Name      string  `json:"name"`
	Ready     bool    `json:"ready"`
	Oldest    float64 `json:"oldest_event_seconds"` // 0: it has nothing before it
	LastError string  `json:"last_error,omitempty"`
}

// readiness judges the states at a time.
func readiness(phase plugin.Phase, states []plugin.State, maxAge time.Duration, now time.Time) Readiness {
	r := Readiness{Status: "ready", Reasons: []string{}, Phase: phase, MaxAge: maxAge.Seconds(), Inputs: []ReadyInput{}, Outputs: []ReadyOutput{}}
	not := func(format string, args ...any) {
		r.Status = "not_ready"
		r.Reasons = append(r.Reasons, fmt.Sprintf(format, args...))
	}
	if phase != plugin.PhaseRunning {
		not("the router is %s", phase)
	}
	for _, s := range states {
		switch s.Kind {
		case plugin.KindInput:
			if s.Condition == plugin.ConditionRunning || s.Condition == plugin.ConditionEnded {
				continue
			}
			r.Inputs = append(r.Inputs, ReadyInput{Name: s.Name, Condition: s.Condition, LastError: s.Failure.Text})
			if s.Condition == plugin.ConditionFailed {
				not("input %s does not run: %s", s.Name, s.Failure.Text)
			} else {
				not("input %s is %s", s.Name, s.Condition)
			}
		case plugin.KindOutput:
			o := ReadyOutput{Name: s.Name, Ready: true, Oldest: age(s.Oldest, now)}
			if waited := time.Duration(o.Oldest * float64(time.Second)); maxAge > 0 && waited > maxAge {
				o.Ready, o.LastError = false, s.Failure.Text
				not("output %s: its oldest event has waited for %v, longer than %v", s.Name, waited.Round(time.Second), maxAge)
			}
			r.Outputs = append(r.Outputs, o)
		default:
		}
	}
	return r
}

// age is the time since at in seconds, with milliseconds; 0 if at is zero.
func age(at, now time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return max(now.Sub(at).Round(time.Millisecond).Seconds(), 0)
}

// ready answers /api/v1/ready: 200, or 503 with the reasons.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	phase, states := s.router.States()
	r := readiness(phase, states, s.opts.ReadyMaxAge, time.Now())
	status := http.StatusOK
	if r.Status != "ready" {
		status = http.StatusServiceUnavailable
	}
	s.answer(w, status, r)
}
