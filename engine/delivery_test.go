package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// once emits n records and asks the process to end after wait.
func once(n int, acked *atomic.Pointer[atomic.Bool], wait func()) func(context.Context, plugin.Emitter) error {
	return func(ctx context.Context, out plugin.Emitter) error {
		a, err := emit(ctx, out, "t", 0, n)
		if err != nil {
			return err
		}
		acked.Store(a)
		wait()
		return plugin.ErrStop
	}
}

// At the end retries come early. A destination that is away just then must not
// cost the records the attempts that they would have had later.
func TestHurriedAttemptsDoNotUseUpTheLimit(t *testing.T) {
	b := newBench(t)
	b.cfg.Service.SchedulerBase, b.cfg.Service.SchedulerCap = time.Minute, time.Hour
	b.cfg.Service.Grace = time.Second
	var acked atomic.Pointer[atomic.Bool]
	failed := make(chan struct{}, 100)
	b.input(false, once(3, &acked, func() { <-failed }))
	b.output(func(context.Context, *event.Chunk) error {
		failed <- struct{}{}
		return errors.New("away for a moment")
	}, "match", "*", "retry_limit", "1")
	sum := b.run()
	if sum.Dropped != 0 || sum.Lost != 3 {
		t.Errorf("summary %+v, want 3 records not delivered and none dropped", sum)
	}
	if acked.Load().Load() {
		t.Error("the records are acknowledged, so their source forgets them")
	}
}

func TestPartialSuccessGoesBeforeAPermanentError(t *testing.T) {
	b := newBench(t)
	var acked atomic.Pointer[atomic.Bool]
	var sent [][]int
	b.input(false, once(4, &acked, func() {}))
	b.output(func(_ context.Context, c *event.Chunk) error {
		sent = append(sent, numbers(c))
		if len(sent) == 1 {
			// The error is that of record 0; record 2 is to be sent again.
			return &plugin.PartialError{Err: plugin.Permanent(errors.New("bad record")), Rejected: []int{0}, Retry: []int{2}}
		}
		return nil
	}, "match", "*")
	sum := b.run()
	if got, want := fmt.Sprint(sent), "[[0 1 2 3] [2]]"; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	if sum.Delivered != 3 || sum.Dropped != 1 {
		t.Errorf("summary %+v, want 3 delivered and 1 dropped", sum)
	}
}

func TestBadIndexesOfAnOutputLoseNothing(t *testing.T) {
	for _, bad := range []*plugin.PartialError{
		{Retry: []int{2, 1}}, {Retry: []int{7}}, {Retry: []int{-1}}, {Rejected: []int{0, 1, 2, 3, 4}}, {Retry: []int{1, 1}},
	} {
		b := newBench(t)
		var acked atomic.Pointer[atomic.Bool]
		var sent [][]int
		bad.Err = errors.New("confused")
		b.input(false, once(4, &acked, func() {}))
		b.output(func(_ context.Context, c *event.Chunk) error {
			sent = append(sent, numbers(c))
			if len(sent) == 1 {
				return bad
			}
			return nil
		}, "match", "*")
		sum := b.run()
		if got, want := fmt.Sprint(sent), "[[0 1 2 3] [0 1 2 3]]"; got != want || sum.Delivered != 4 {
			t.Errorf("%v, %v: sent %s, %+v; want the whole chunk again", bad.Retry, bad.Rejected, got, sum)
		}
	}
}

// A partial answer about metrics, which have no events, is about all of them.
func TestPartialSuccessOfMetricsLosesNothing(t *testing.T) {
	b := newBench(t)
	attempts := 0
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		m := event.NewBatch("m")
		m.Signal, m.Payload = event.Metrics, []byte("payload")
		if err := out.Emit(ctx, m); err != nil {
			return err
		}
		return plugin.ErrStop
	})
	b.output(func(_ context.Context, c *event.Chunk) error {
		if attempts++; attempts == 1 {
			return plugin.Partial(errors.New("busy"), []int{0})
		}
		return nil
	}, "match", "*")
	b.defs[len(b.defs)-1].Metrics = true
	if sum := b.run(); attempts != 2 || sum.Delivered != 1 {
		t.Errorf("%d attempts, %+v; want the message sent again", attempts, sum)
	}
}

func TestDestinationCannotAskForAnEndlessWait(t *testing.T) {
	b := newBench(t)
	attempts := 0
	var acked atomic.Pointer[atomic.Bool]
	done := make(chan struct{})
	b.input(false, once(1, &acked, func() { <-done }))
	b.output(func(context.Context, *event.Chunk) error {
		if attempts++; attempts == 1 {
			return plugin.RetryAfter(errors.New("later"), 1000*time.Hour)
		}
		close(done)
		return nil
	}, "match", "*")
	if sum := b.run(); sum.Delivered != 1 {
		t.Errorf("summary %+v, want the record delivered after scheduler.cap", sum)
	}
}

// An output that does not come back must not make its records vanish from the
// summary.
func TestOutputThatIsLeftBehindIsCounted(t *testing.T) {
	b := newBench(t)
	b.cfg.Service.Grace = 100 * time.Millisecond
	var acked atomic.Pointer[atomic.Bool]
	release := make(chan struct{})
	ended := make(chan struct{})
	b.input(false, once(5, &acked, func() {}))
	b.output(func(context.Context, *event.Chunk) error {
		defer close(ended)
		<-release
		return errors.New("too late")
	}, "match", "*")
	if sum := b.run(); sum.Lost != 5 {
		t.Errorf("summary %+v, want the 5 records that are still being sent as lost", sum)
	}
	close(release)
	<-ended
	if acked.Load().Load() {
		t.Error("the records are acknowledged")
	}
}
