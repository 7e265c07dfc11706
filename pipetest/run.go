package pipetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/internal/logging"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// Result is how a test ended.
type Result struct {
	Test     *Test
	Duration time.Duration
	// Err says why the test could not be run, nil if it was.
	Err error
	// Problems are what is wrong with the configuration; with an error among
	// them Err is set too. Sources are for their excerpts.
	Problems option.Problems
	Sources  *config.Sources
	// Failures are the expectations that were not met.
	Failures []Failure
	// Outputs are what arrived, in the order of the configuration.
	Outputs []Arrived
	// Notes are what one should know about the test, and Hints what may explain
	// its result.
	Notes, Hints []string
	// Log is the warnings and errors of the router.
	Log string

	began, ended time.Time
}

// Passed tells whether all expectations were met.
func (res *Result) Passed() bool { return res.Err == nil && len(res.Failures) == 0 }

// Arrived is what one output got.
type Arrived struct {
	ID     string // alias, or else the name
	Name   string // such as stdout.0
	Events []Event
}

// placedError is an error about a place of the test file.
type placedError struct {
	pos option.Pos
	err error
}

func (e *placedError) Error() string { return fmt.Sprintf("%s: %v", e.pos, e.err) }
func (e *placedError) Unwrap() error { return e.err }

// grace is how long the end of a pipeline may take, in which held records are
// emitted and everything reaches the outputs.
const grace = 5 * time.Second

// Run runs a test over the plugins of reg. It returns when the test has ended or
// its time is over; ctx ends it earlier.
func Run(ctx context.Context, t *Test, reg *plugin.Registry) *Result {
	res := &Result{Test: t, began: time.Now()}
	res.Err = res.run(ctx, reg)
	res.ended = time.Now()
	res.Duration = res.ended.Sub(res.began)
	if res.Err == nil {
		res.compare()
	}
	return res
}

func (res *Result) run(ctx context.Context, reg *plugin.Registry) error {
	t := res.Test
	cfg, ps := config.Load(t.Config, config.LoadOptions{LookupEnv: func(name string) (string, bool) {
		if v, ok := t.Env[name]; ok {
			return v, true
		}
		return os.LookupEnv(name)
	}})
	res.Problems, res.Sources = ps, cfg.Sources
	if ps.HasErrors() {
		return errors.New("the configuration is refused")
	}
	dir, err := os.MkdirTemp("", "kagari-test-")
	if err != nil {
		return fmt.Errorf("make a directory for the test: %w", err)
	}
	defer os.RemoveAll(dir)
	direct := slices.ContainsFunc(t.Inputs, func(f Feed) bool { return f.Input == "" && f.Wait == 0 })
	r := &rig{stubs: t.stubs}
	r.prepare(cfg, dir, direct)
	log := &lockedBuffer{}
	e, more := engine.New(cfg, r.registry(reg), engine.Options{Handler: logging.NewHandler(log, slog.LevelWarn), Version: "test"})
	res.Problems = append(res.Problems, more...)
	if e == nil {
		return errors.New("the configuration is refused")
	}
	r.label(cfg)
	res.Notes = r.notes
	if err := r.unusedStub(); err != nil {
		return &placedError{t.Pos, err}
	}
	for i := range t.Expect {
		if _, err := r.output(t.Expect[i].Output); err != nil {
			return &placedError{t.Expect[i].Pos, fmt.Errorf("find the output: %w", err)}
		}
	}
	err = r.drive(ctx, t, e)
	res.Log = log.String()
	res.Hints = hints(e.Metrics())
	for _, o := range r.outputs {
		if o.metrics {
			res.Hints = append(res.Hints, fmt.Sprintf("the output %s got metrics too, which are not compared", o.env.ID))
		}
		res.Outputs = append(res.Outputs, Arrived{ID: o.env.ID, Name: o.name, Events: o.events()})
		if err == nil && o.flooded() {
			err = fmt.Errorf("the output %s got more than %d MB", o.env.ID, maxCaptured>>20)
		}
	}
	return err
}

// hints tells which records were dropped because they go nowhere.
func hints(metrics []plugin.Metric) []string {
	var out []string
	for _, m := range metrics {
		if m.Name != plugin.DropMetric || m.Value == 0 {
			continue
		}
		name, reason := "", ""
		for _, l := range m.Labels {
			switch l.Name {
			case "name":
				name = l.Value
			case "reason":
				reason = strings.ReplaceAll(l.Value, "_", " ")
			}
		}
		if strings.HasPrefix(name, directInput) {
			name = "what entered by its tag"
		}
		out = append(out, fmt.Sprintf("%s of %s went nowhere: %s", count(int(m.Value)), name, reason))
	}
	return out
}

// drive runs the engine until everything is fed and has arrived.
func (r *rig) drive(ctx context.Context, t *Test, e *engine.Engine) error {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	var sum engine.Summary
	var startErr error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		sum, startErr = e.Run(ctx)
	}()
	fed := make(chan error, 1)
	feedCtx, stopFeed := context.WithCancel(ctx)
	defer stopFeed()
	go func() { fed <- r.conduct(feedCtx, t) }()

	var feedErr error
	done := false
	select {
	case feedErr = <-fed:
		done = true
		e.Stop(0)
	case <-ended: // It could not start, or a plugin has stopped it.
		stopFeed()
	case <-ctx.Done():
	}
	late := time.NewTimer(time.Until(deadline(ctx)) + grace + time.Second)
	defer late.Stop()
	for !done || ended != nil {
		select {
		case feedErr = <-fed:
			done = true
			e.Stop(0)
		case <-ended:
			ended = nil
			stopFeed()
		case <-late.C:
			return fmt.Errorf("the test does not end within %v, nor when it is told to", t.Timeout)
		}
	}
	switch {
	case startErr != nil:
		return fmt.Errorf("start: %w", startErr)
	case errors.Is(ctx.Err(), context.Canceled):
		return errors.New("the test was interrupted")
	case ctx.Err() != nil:
		return fmt.Errorf("the test has taken longer than %v", t.Timeout)
	case sum.ExitCode != 0:
		return fmt.Errorf("a plugin has asked the process to end, with code %d", sum.ExitCode)
	case errors.Is(feedErr, context.Canceled):
		return errors.New("the pipeline has ended before everything was fed into it")
	case feedErr != nil:
		return feedErr
	case sum.Lost > 0 || sum.OnDisk > 0:
		return fmt.Errorf("%d records have not reached their output in time", sum.Lost+sum.OnDisk)
	}
	return nil
}

func deadline(ctx context.Context) time.Time {
	d, _ := ctx.Deadline()
	return d
}

// lockedBuffer is text that several goroutines write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimSuffix(b.buf.String(), "\n")
}
