package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// metric returns the value of a metric with these labels, which must be there.
func metric(t *testing.T, e *engine.Engine, name string, labels ...string) float64 {
	t.Helper()
next:
	for _, m := range e.Metrics() {
		if m.Name != name || len(m.Labels) != len(labels)/2 {
			continue
		}
		for i, l := range m.Labels {
			if l.Name != labels[2*i] || l.Value != labels[2*i+1] {
				continue next
			}
		}
		return m.Value
	}
	t.Fatalf("there is no metric %s %v", name, labels)
	return 0
}

func TestStatesTellWhatWaitsAndWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg.Service.Flush = 5 * time.Second
		b.cfg.Service.SchedulerBase, b.cfg.Service.SchedulerCap = time.Hour, time.Hour
		b.input(false, func(ctx context.Context, out plugin.Emitter) error {
			_, err := emit(ctx, out, "t", 0, 3)
			if err != nil {
				return err
			}
			return errors.New("the source broke\nhere")
		}, "tag", "t")
		b.input(false, func(context.Context, plugin.Emitter) error { return nil }, "alias", "short")
		b.filter(func(*event.Batch) error { return errors.New("no idea") }, "match", "*")
		b.output(func(context.Context, *event.Chunk) error {
			return errors.New(`POST "https://ada:pw@127.0.0.1/in?key=secret": refused`)
		}, "match", "t", "retry_limit", "no_limits")
		b.output(func(context.Context, *event.Chunk) error { return nil }, "match", "other")
		e := b.engine()

		phase, states := e.States()
		if phase != plugin.PhaseStarting || states[0].Condition != plugin.ConditionStarting {
			t.Errorf("before the start: %v %+v", phase, states[0])
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if _, err := e.Run(ctx); err != nil {
				t.Error(err)
			}
		}()
		start := time.Now()
		time.Sleep(500 * time.Millisecond) // The input is run again after a second.
		phase, states = e.States()
		if phase != plugin.PhaseRunning {
			t.Errorf("the phase is %v", phase)
		}
		if s := states[0]; s.Kind != plugin.KindInput || s.Name != "in0.0" || s.Plugin != "in0" || s.Condition != plugin.ConditionFailed || s.Failure != (plugin.Failure{At: start, Text: "the source broke"}) {
			t.Errorf("the input that failed: %+v", s)
		}
		if s := states[1]; s.Name != "short" || s.Condition != plugin.ConditionEnded {
			t.Errorf("the input that ended: %+v", s)
		}
		if s := states[2]; s.Kind != plugin.KindFilter || s.Failure.Text != "no idea" {
			t.Errorf("the filter that failed: %+v", s)
		}
		if s := states[3]; s.Kind != plugin.KindOutput || !s.Oldest.Equal(start) {
			t.Errorf("an open chunk is not seen: %+v", s)
		}
		if s := states[4]; !s.Oldest.IsZero() || !s.Failure.At.IsZero() {
			t.Errorf("the output that gets nothing: %+v", s)
		}
		if metric(t, e, "kagari_input_up", "name", "in0.0") != 0 || metric(t, e, "kagari_input_up", "name", "short") != 1 {
			t.Error("kagari_input_up is wrong")
		}

		time.Sleep(5*time.Second - 500*time.Millisecond + time.Millisecond) // A flush, and a failed attempt.
		_, states = e.States()
		s := states[3]
		if age := time.Since(s.Oldest).Round(time.Millisecond); age != 5001*time.Millisecond {
			t.Errorf("the oldest event is %v old", age)
		}
		if want := `POST "https://…@127.0.0.1/in?…": refused`; s.Failure.Text != want {
			t.Errorf("the error is %q, want %q", s.Failure.Text, want)
		}
		if n := metric(t, e, "kagari_output_retrying_chunks", "name", "out3.0"); n != 1 {
			t.Errorf("%v chunks wait for their next attempt", n)
		}
		if n := metric(t, e, "kagari_output_pending_bytes", "name", "out3.0"); n <= 0 {
			t.Errorf("%v bytes wait", n)
		}
		if n := metric(t, e, "kagari_output_oldest_event_seconds", "name", "out3.0"); n != 5.001 {
			t.Errorf("the oldest event is %v s old", n)
		}
		stop()
		time.Sleep(time.Millisecond)
		if phase, _ := e.States(); phase != plugin.PhaseStopping {
			t.Errorf("the phase is %v", phase)
		}
		<-ended
	})
}

func TestLossesTellPluginAndReason(t *testing.T) {
	b := newBench(t)
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		if _, err := emit(ctx, out, "nowhere", 0, 3); err != nil {
			return err
		}
		if _, err := emit(ctx, out, "t", 0, 2); err != nil {
			return err
		}
		return plugin.ErrStop
	}, "alias", "web")
	b.output(func(context.Context, *event.Chunk) error { return plugin.Permanent(errors.New("no")) }, "match", "t", "alias", "archive")
	e := b.engine()
	if _, err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := metric(t, e, plugin.DropMetric, "name", "web", "plugin", "in0", "reason", "no_output_matches"); n != 3 {
		t.Errorf("%v events without an output", n)
	}
	if n := metric(t, e, plugin.DropMetric, "name", "archive", "plugin", "out1", "reason", "refused"); n != 2 {
		t.Errorf("%v refused events", n)
	}
}

func TestErrorsAreToldWithoutWhatIsSecret(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                              "plain",
		"see http://h/p?a=b and ftp://u@h/?": "see http://h/p?… and ftp://…@h/?…",
		"what? no://":                        "what? no://",
		"":                                   "",
		"bad \xff byte":                      "bad \uFFFD byte",
		strings.Repeat("あ", 200):             strings.Repeat("あ", 133) + "…",
	} {
		if got := engine.Public(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
