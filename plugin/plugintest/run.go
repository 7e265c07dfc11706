package plugintest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kagarilog/kagari/plugin"
)

// Running is an input that runs.
type Running struct {
	t      testing.TB
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// Run starts in and runs it on a goroutine until Stop or the end of the test.
func Run(t testing.TB, in plugin.Input, out plugin.Emitter) *Running {
	t.Helper()
	start(t, in)
	return run(t, in, out)
}

func run(t testing.TB, in plugin.Input, out plugin.Emitter) *Running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Running{t: t, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = in.Run(ctx, out)
	}()
	t.Cleanup(func() { cancel(); <-r.done })
	return r
}

// Stop ends the input and returns the error of Run, where that of the ended
// context counts as none.
func (r *Running) Stop() error {
	r.t.Helper()
	r.cancel()
	err := r.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Wait returns the error of Run once it has ended.
func (r *Running) Wait() error {
	r.t.Helper()
	select {
	case <-r.done:
		return r.err
	case <-time.After(Patience):
		r.t.Fatal("the input does not end")
		return nil
	}
}

// Ended tells whether Run has ended.
func (r *Running) Ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}
