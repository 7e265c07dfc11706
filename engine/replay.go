package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// Replay is an engine that has only the outputs of a configuration. It sends
// them chunks that the caller makes, and tells what became of each. Inputs,
// filters, stream tasks and storage of the configuration are left alone, so
// that a router may be at work with the same file.
type Replay struct {
	engine *Engine
	source *source
	feed   func(context.Context) error
	err    error // of feed

	mu      sync.Mutex
	sent    int           // chunks that are not settled
	settled chan struct{} // closed when feed has returned and sent is 0
}

// Failure is an event, or a message of metrics, that an output gave up again.
type Failure struct {
	Entry  []byte // as in event.Chunk
	Reason string // as in the metrics of an output
	Err    error
}

// NewReplay builds and validates the outputs, as New does.
func NewReplay(cfg *config.Config, reg *plugin.Registry, opts Options) (*Replay, option.Problems) {
	outputs, svc := *cfg, *cfg.Service
	svc.Storage.Path, svc.Storage.KeepRejected, svc.Storage.KeepUndelivered = "", false, false
	outputs.Inputs, outputs.Filters, outputs.StreamTasks, outputs.Service = nil, nil, nil, &svc
	e, ps := New(&outputs, reg, opts)
	if e == nil {
		return nil, ps
	}
	r := &Replay{engine: e, sent: 1, settled: make(chan struct{}), source: &source{engine: e, id: "replay", plugin: "replay", log: opts.Handler.Named("replay", nil)}}
	r.source.memory.limit = defaultInputMemory
	e.inputs = []*input{{source: r.source, in: replayInput{r}, inst: &config.Instance{}, env: &plugin.Env{Stats: &plugin.Stats{}}}}
	e.give = func(d *delivery, c *event.Chunk, reason string, err error) {
		if c.Signal != event.Logs {
			d.entry.failed = append(d.entry.failed, Failure{slices.Clone(c.Bytes()), reason, err})
			return
		}
		for cur := c.Cursor(); cur.Next(); {
			d.entry.failed = append(d.entry.failed, Failure{slices.Clone(cur.Entry()), reason, err})
		}
	}
	return r, ps
}

// Output finds an output by its alias, or its name with or without a number. It
// returns the name that Send takes, and whether it has processors.
func (r *Replay) Output(name string) (id string, processes, ok bool) {
	s := r.engine.sinkNamed(name)
	if s == nil {
		return "", false, false
	}
	return s.id, len(s.processors) > 0, true
}

// Outputs lists the names of all outputs.
func (r *Replay) Outputs() (ids []string) {
	for _, s := range r.engine.sinks {
		ids = append(ids, s.id)
	}
	return ids
}

// Run starts the outputs and calls feed, which calls Send. When feed has
// returned and everything is settled, or ctx has ended and the grace period
// passed, it stops. The error is that of the start or of feed.
func (r *Replay) Run(ctx context.Context, feed func(context.Context) error) error {
	r.feed = feed
	if _, err := r.engine.Run(ctx); err != nil {
		return err
	}
	return r.err
}

// replayInput is the input that feeds a replay.
type replayInput struct{ r *Replay }

func (in replayInput) Run(ctx context.Context, _ plugin.Emitter) error {
	in.r.err = in.r.feed(ctx)
	in.r.settle(-1)
	select {
	case <-in.r.settled:
	case <-ctx.Done(): // What is settled within the grace period is still told.
	}
	return plugin.ErrStop
}

// settle notes n more chunks on their way. The feed counts as one.
func (r *Replay) settle(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent += n; r.sent == 0 {
		close(r.settled)
	}
}

// Send queues a chunk for the output with that name and takes it over. It waits
// while there is too much on its way. Once nothing is left to try, done is
// called with the events that the output gave up, in order; it is never called
// for a chunk that was not settled before the end. With processed the output's
// own processors are passed by.
func (r *Replay) Send(ctx context.Context, output string, c *event.Chunk, processed bool, done func([]Failure)) error {
	s := r.engine.sinkNamed(output)
	if s == nil {
		return fmt.Errorf("there is no output %q", output)
	}
	if !s.takes(c.Signal) {
		return fmt.Errorf("the output %s takes no metrics", output)
	}
	if err := r.source.admit(ctx); err != nil {
		return err
	}
	cost := int64(c.Size()) + entryOverhead
	r.source.charge(cost)
	en := newEntry(r.source, c, cost)
	r.settle(1)
	en.done = func() {
		defer r.settle(-1)
		done(en.failed)
	}
	d := &delivery{entry: en}
	if processed && len(s.processors) > 0 {
		c.Hold()
		d.part, d.processed = c, true
	}
	s.push(d)
	return nil
}
