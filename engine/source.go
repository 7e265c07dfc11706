package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// chunkLimit is the size in bytes at which an open chunk is closed, that of
// Fluent Bit. It is less than 2 MiB by an event or some, so that the chunk's
// buffer, which has a power of two as its size, need not double for the last.
const chunkLimit = 2_048_000

// maxPlans bounds the routing decisions remembered per source; a sender that
// makes up tags without end only makes it forget.
const maxPlans = 4096

// source is where the events of one input, or of one filter's emitter, enter
// the router.
type source struct {
	engine     *Engine
	id         string
	name       string // of an input, whatever its alias is
	plugin     string
	defaultTag string
	log        *slog.Logger
	processors []*step
	filesystem bool
	unroutable bool   // Routable is off: filters run, but no output gets anything
	memory     budget // Mem_Buf_Limit
	frugal     bool   // storage.pause_on_chunks_overlimit
	listed     bool   // an emitter that its filter has asked for, or a stream
	// unbounded is set for what the processors of an output emit: it counts, so
	// that inputs wait, but does not wait itself, as the room that it would wait
	// for is made by that output's worker.
	unbounded bool

	records, bytes atomic.Uint64
	// What no output takes: log records, their bytes, and batches of metrics.
	unrouted, unroutedBytes, unroutedMetrics atomic.Uint64
	rate                                     rate
	lastEmit                                 atomic.Int64 // nanoseconds since engine.epoch; to find out when a socket is quiet
	paused                                   atomic.Bool

	// Closed chunks on their way, in memory or only on disk, and their bytes.
	up, down, busyBytes atomic.Int64

	routes [2]*routes // by signal; nil: by Match

	plans sync.Map // planKey → *plan
	known atomic.Int32

	mu   sync.Mutex
	open map[openKey]*open
	// order is the open chunks in the order of their creation, which is the
	// order in which a flush sends them.
	order []*open
}

type openKey struct {
	tag    string
	signal event.Signal
	part   *part
}

type planKey struct {
	tag    string
	signal event.Signal
}

// open is a chunk that still takes events.
type open struct {
	key  openKey
	bu   *event.Builder
	plan *plan
	cost int64
	// stored is what counts against the quotas of its outputs, see plan.store.
	stored int64
}

// plan is what happens to events of one tag.
type plan struct {
	filters []*step
	tasks   []*streamTask
	sinks   []*sink
	part    *part // of a route that takes some events
	named   bool  // the sinks are not those that the tag alone says
	parted  bool  // the events went to parts of the routes first
}

// takes tells whether an output takes what carries the signal.
func (p *plan) takes(signal event.Signal) bool {
	return slices.ContainsFunc(p.sinks, func(s *sink) bool { return s.takes(signal) })
}

var _ plugin.Emitter = (*source)(nil)

// Emit runs the filters and seals what is left.
func (s *source) Emit(ctx context.Context, b *event.Batch) error {
	if b.Tag == "" {
		b.Tag = s.defaultTag
	}
	err := s.admitStored(ctx, b)
	if err == nil {
		err = s.admit(ctx)
	}
	if err != nil {
		b.Ack = nil // Not taken: the source must not hear that it was.
		b.Free()
		return err
	}
	b.Source = s.id
	s.lastEmit.Store(int64(time.Since(s.engine.epoch)))
	s.records.Add(uint64(len(b.Events)))
	s.bytes.Add(uint64(b.Size()))

	applyAll(ctx, b, s.processors)
	if rs := s.routes[b.Signal]; rs != nil && len(rs.parts) > 0 {
		s.spread(ctx, b, rs)
		return nil
	}
	s.pass(ctx, b, s.plan(b.Tag, b.Signal))
	return nil
}

// pass runs filters and tasks over a batch, which it owns, and seals the rest.
func (s *source) pass(ctx context.Context, b *event.Batch, p *plan) {
	applyAll(ctx, b, p.filters)
	if len(b.Events) == 0 && len(b.Payload) == 0 {
		b.Free()
		return
	}
	if len(p.tasks) > 0 && b.Signal == event.Logs {
		s.engine.process(ctx, p.tasks, b)
	}
	if !p.takes(b.Signal) {
		if b.Signal == event.Metrics {
			s.log.Info("no output that matches the tag takes metrics; they are dropped", "tag", b.Tag)
			s.unroutedMetrics.Add(1)
		}
		if len(p.tasks) == 0 && !p.parted {
			s.unrouted.Add(uint64(len(b.Events)))
			s.unroutedBytes.Add(uint64(b.Size()))
		}
		b.Free()
		return
	}
	s.seal(b, p)
	b.Free()
}

// admit waits until the budgets have room.
func (s *source) admit(ctx context.Context) error {
	if s.unbounded {
		return nil
	}
	own, all := s.memory.full(), s.engine.memory.full()
	if s.filesystem {
		// Closed chunks leave the budget for the disk; what counts is the open ones.
		own = false
	}
	if !own && !all {
		return nil
	}
	s.paused.Store(true)
	defer s.paused.Store(false)
	s.log.Warn("paused: the memory for records on their way is used up", "used", s.memory.bytes(), "limit", s.memory.limit,
		"used_by_all", s.engine.memory.bytes(), "limit_of_all", s.engine.memory.limit)
	start := time.Now()
	s.engine.relieve(s, own, all)
	if own {
		if err := s.memory.wait(ctx); err != nil {
			return err
		}
	}
	if err := s.engine.memory.wait(ctx); err != nil {
		return err
	}
	s.log.Debug("resumed", "after", time.Since(start))
	return nil
}

// relieve closes open chunks where most of the memory is in them: nothing
// would leave it before the next flush, while the outputs have nothing to do.
func (e *Engine) relieve(s *source, own, all bool) {
	if own && s.openBytes() > s.memory.limit/2 {
		s.flush()
	}
	if !all {
		return
	}
	var open int64
	for _, in := range e.inputs {
		open += in.openBytes()
	}
	for _, em := range e.emitters {
		open += em.openBytes()
	}
	if open > e.memory.limit/2 {
		e.flushAll()
	}
}

// openBytes is what the open chunks cost.
func (s *source) openBytes() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.order {
		n += o.cost
	}
	return n
}

// plan returns the filters and outputs for a tag.
func (s *source) plan(tag string, signal event.Signal) *plan {
	key := planKey{tag, signal}
	if p, ok := s.plans.Load(key); ok {
		return p.(*plan)
	}
	p := s.engine.route(tag)
	p.tasks = s.engine.tasksFor(s, tag)
	rs := s.routes[signal]
	if rs != nil {
		p.sinks, p.named, p.parted = rs.wholeFor(tag), true, len(rs.parts) > 0
	}
	if s.unroutable {
		p.sinks = nil
	} else if !p.parted && len(p.sinks) == 0 && len(p.tasks) == 0 {
		s.log.Info("no output matches the tag; its records are dropped", "tag", tag)
	}
	if s.known.Add(1) > maxPlans {
		s.plans.Clear()
		s.known.Store(1)
	}
	s.plans.Store(key, p)
	return p
}

// seal appends the batch to the open chunk of its tag and closes the chunks
// that are full.
func (s *source) seal(b *event.Batch, p *plan) {
	key := openKey{b.Tag, b.Signal, p.part}
	s.mu.Lock()
	defer s.mu.Unlock()
	for from := 0; ; {
		o := s.open[key]
		if o == nil {
			o = &open{key: key, bu: event.NewBuilder(b.Tag, b.Signal, time.Now()), plan: p, cost: entryOverhead}
			s.charge(entryOverhead)
			s.open[key] = o
			s.order = append(s.order, o)
		}
		before := o.bu.Size()
		from = o.bu.Seal(b, from, chunkLimit)
		grown := int64(o.bu.Size() - before)
		o.cost += grown
		s.charge(grown)
		if s.filesystem {
			o.stored += grown
			o.plan.store(b.Signal, grown)
		}
		if o.bu.Size() >= chunkLimit {
			s.close(o)
		}
		if from >= len(b.Events) {
			return
		}
	}
}

// charge takes n bytes from the budgets.
func (s *source) charge(n int64) {
	s.memory.add(n)
	s.engine.memory.add(n)
}

// close ends an open chunk and hands it to its outputs. s.mu is held.
func (s *source) close(o *open) {
	delete(s.open, o.key)
	for i, other := range s.order {
		if other == o {
			s.order = append(s.order[:i], s.order[i+1:]...)
			break
		}
	}
	s.dispatch(o)
}

func (s *source) dispatch(o *open) {
	en := newEntry(s, o.bu.Chunk(), o.cost)
	if s.filesystem {
		if o.plan.named {
			en.info.Outputs = ids(o.plan.sinks)
		}
		if err := s.engine.dir.WriteFor(s.id, en.info.Outputs, en.chunk); err != nil {
			s.log.Error("cannot store a chunk; it stays in memory", "chunk", en.info.ID.String(), "error", err)
			o.plan.store(o.key.signal, -o.stored)
		} else {
			en.stored = o.stored
			en.persisted()
		}
	}
	s.engine.deliver(en, o.plan.sinks)
}

// flush closes all open chunks, oldest first.
func (s *source) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	order := s.order
	s.order = nil
	clear(s.open)
	for _, o := range order {
		s.dispatch(o)
	}
}

// input is an input with the source that it emits to.
type input struct {
	*source
	in   plugin.Input
	inst *config.Instance
	push bool
	env  *plugin.Env

	condition atomic.Value // a plugin.Condition; none before the start
	failure   failure
}

// The back-off between runs of an input that failed.
const (
	restartBase = time.Second
	restartCap  = time.Minute
)

// run keeps the input running until ctx ends, the source has ended, or the
// input asks the process to stop.
func (in *input) run(ctx context.Context) {
	wait := restartBase
	for {
		started := time.Now()
		in.condition.Store(plugin.ConditionRunning)
		err := protect(func() error { return in.in.Run(ctx, in.source) })
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			in.condition.Store(plugin.ConditionEnded)
			in.log.Debug("the source has ended")
			return
		case errors.Is(err, plugin.ErrStop):
			in.engine.Stop(0)
			return
		}
		if time.Since(started) > restartCap {
			wait = restartBase
		}
		in.condition.Store(plugin.ConditionFailed)
		in.failure.note(err)
		in.log.Error("the input failed and is run again", "in", wait, "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, restartCap)
	}
}

// protect turns a panic of a plugin, which is a bug, into an error: the rest
// of the router goes on and no other data is lost.
func protect(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &panicError{fmt.Sprintf("BUG: panic: %v\n%s", r, debug.Stack())}
		}
	}()
	return f()
}

// panicError is a panic of a plugin.
type panicError struct{ text string }

func (e *panicError) Error() string { return e.text }
