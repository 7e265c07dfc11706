package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kagarilog/kagari/buffer"
	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/deadletter"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/logging"
	"github.com/kagarilog/kagari/parser"
	"github.com/kagarilog/kagari/parser/multiline"
	"github.com/kagarilog/kagari/plugin"
)

// Engine is one graph. Make it with New, run it once with Run.
type Engine struct {
	log   *slog.Logger
	logs  *logging.Handler // counts what is logged
	flush time.Duration
	grace time.Duration
	epoch time.Time // what monotonic times count from

	service *config.Service

	hostname, version string // for metrics
	stdout            io.Writer

	inputs    []*input
	emitters  []*source // of filters that re-tag or hold back, and of streams
	filters   []*step
	tasks     []*streamTask
	sinks     []*sink
	parsers   []*parser.Parser
	multiline []*multiline.Parser

	dir *buffer.Dir // nil without storage.path

	letters         *deadletter.Box // nil if they are not kept
	lettersDropped  atomic.Uint64   // to keep to their limit
	keepUndelivered bool            // as letters, what is in memory at the end
	// give takes what an output gave up in place of letters, in a replay.
	give func(d *delivery, c *event.Chunk, reason string, err error)

	memory budget // records in memory, of the whole process
	up     budget // stored chunks that are in memory too
	// backlog is the part of up that an earlier run has stored, and fresh the
	// number of chunks that this one has, in memory or not.
	backlog, fresh budget
	limited        bool // an output has a quota

	// Closed chunks on their way: in memory only, stored and in memory, stored.
	memoryChunks, upChunks, downChunks atomic.Int64

	retryBase, retryCap time.Duration

	stopOnce sync.Once
	stopping chan struct{}
	exitCode atomic.Int32

	sendCtx    context.Context // ends when the grace period is over
	cancelSend context.CancelFunc
	idle       chan struct{} // told when a delivery was settled

	started atomic.Int64
	ending  atomic.Bool
	damaged atomic.Uint64 // stored chunks that were found damaged at the start

	again func() (*Engine, error) // makes an engine like this one
}

// Service is the service section that the engine was made with.
func (e *Engine) Service() *config.Service { return e.service }

// Stop asks the engine to flush and end; Run then returns the first non-zero
// code that was given. It does not wait and may be called from anywhere.
func (e *Engine) Stop(code int) {
	e.exitCode.CompareAndSwap(0, int32(code))
	e.stopOnce.Do(func() { close(e.stopping) })
}

// Summary is how a run ended.
type Summary struct {
	ExitCode  int
	Delivered uint64 // records delivered, counted once per output
	Dropped   uint64 // records given up and lost, with the reasons in the metrics
	Letters   uint64 // records kept as dead letters
	OnDisk    int    // undelivered records that are kept for the next start
	Lost      int    // undelivered records of which there is no copy on disk
}

// Run starts everything and works until ctx ends or Stop is called; then it
// flushes within the grace period. The error is that of the start.
func (e *Engine) Run(ctx context.Context) (Summary, error) {
	return e.run(ctx, func() {})
}

// run is Run that tells when the start has succeeded.
func (e *Engine) run(ctx context.Context, started func()) (Summary, error) {
	e.sendCtx, e.cancelSend = context.WithCancel(context.WithoutCancel(ctx))
	defer e.cancelSend()
	if err := e.start(); err != nil {
		e.closePlugins()
		return Summary{ExitCode: 1}, err
	}
	e.started.Store(time.Now().UnixNano())
	started()

	var workers sync.WaitGroup
	for _, s := range e.sinks {
		for range s.workers {
			workers.Go(func() { s.run(e.sendCtx) })
		}
	}
	if err := e.loadBacklog(); err != nil {
		e.log.Error("not all stored chunks can be listed", "error", err)
	}

	var pulling, pushing, holding, windows sync.WaitGroup
	pullCtx, stopPull := context.WithCancel(context.WithoutCancel(ctx))
	pushCtx, stopPush := context.WithCancel(context.WithoutCancel(ctx))
	holdCtx, stopHold := context.WithCancel(context.WithoutCancel(ctx))
	windowCtx, stopWindows := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWindows()
	defer stopPull()
	defer stopPush()
	defer stopHold()
	for _, f := range e.allSteps() {
		if r, ok := f.filter.(plugin.Runner); ok {
			holding.Go(func() {
				if err := protect(func() error { return r.Run(holdCtx, f.emitter) }); err != nil && holdCtx.Err() == nil {
					f.log.Error("the filter's flusher failed", "error", err)
				}
			})
		}
	}
	for _, st := range e.tasks {
		e.log.Info("registered stream task", "task", st.task.Name())
		if st.task.Window().Size > 0 {
			windows.Go(func() { st.run(windowCtx) })
		}
	}
	for _, in := range e.inputs {
		if in.push {
			pushing.Go(func() { in.run(pushCtx) })
		} else {
			pulling.Go(func() { in.run(pullCtx) })
		}
	}
	e.log.Info("started", "inputs", len(e.inputs), "filters", len(e.filters), "outputs", len(e.sinks))

	flushed := make(chan struct{})
	stopFlush := make(chan struct{})
	go func() {
		defer close(flushed)
		ticker := time.NewTicker(e.flush)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				e.flushAll()
				e.measure()
			case <-stopFlush:
				return
			}
		}
	}()

	select {
	case <-ctx.Done():
	case <-e.stopping:
	}
	e.ending.Store(true)
	deadline := time.Now().Add(e.grace)
	e.log.Info("stopping", "grace", e.grace)

	// Files and timers stop at once: what they have not read stays where it is.
	// Sockets are read until they are quiet, as nobody keeps what they hold, and
	// stay open until what they sent is delivered and acknowledged.
	stopPull()
	half := time.Now().Add(min(e.grace/2, longestDrain))
	e.drainSockets(half)
	e.flushAll()
	e.drainSinks(half)
	stopPush()
	e.waitFor("input", &pulling, deadline)
	e.waitFor("input", &pushing, deadline)
	stopHold()
	e.waitFor("filter", &holding, deadline)
	stopWindows()
	e.waitFor("stream task", &windows, deadline)
	lastCtx, stopLast := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	e.finishTasks(lastCtx)
	stopLast()
	close(stopFlush)
	<-flushed
	e.flushAll()
	for _, s := range e.sinks {
		s.rush()
	}
	e.drainSinks(deadline)
	e.cancelSend()
	for _, s := range e.sinks {
		s.close()
	}
	done := make(chan struct{})
	go func() { workers.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(lastWords):
		e.log.Error("an output does not end its last attempt; it is left behind")
	}
	sum := e.summarize()
	e.closePlugins()
	return sum, nil
}

// longestDrain is how long sockets are read on after the process was told to
// end, however long the grace period is: a busy one is never quiet.
const longestDrain = time.Minute

// lastWords is how long outputs have to return after their context has ended.
const lastWords = 2 * time.Second

// waitFor waits for the group, at most until a little after the deadline.
func (e *Engine) waitFor(kind string, wg *sync.WaitGroup, deadline time.Time) {
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Until(deadline) + time.Second):
		e.log.Error("a plugin does not end; it is left behind", "kind", kind)
	}
}

// start calls Start of everything that has it: outputs first, inputs last, so
// that nothing arrives before there is a way on.
func (e *Engine) start() error {
	if e.dir != nil {
		if err := e.dir.Open(); err != nil {
			return err
		}
	}
	if e.letters != nil {
		e.openLetters()
	}
	begin := func(id string, p any) error {
		s, ok := p.(plugin.Starter)
		if !ok {
			return nil
		}
		if err := protect(func() error { return s.Start(e.sendCtx) }); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		return nil
	}
	var errs []error
	for _, s := range e.sinks {
		errs = append(errs, begin(s.id, s.out))
	}
	for _, f := range e.allSteps() {
		errs = append(errs, begin(f.id, f.filter))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, in := range e.inputs {
		errs = append(errs, begin(in.id, in.in))
	}
	return errors.Join(errs...)
}

// allSteps returns filters and processors.
func (e *Engine) allSteps() []*step {
	all := append([]*step(nil), e.filters...)
	for _, in := range e.inputs {
		all = append(all, in.processors...)
	}
	for _, s := range e.sinks {
		all = append(all, s.processors...)
	}
	return all
}

func (e *Engine) closePlugins() {
	end := func(log *slog.Logger, p any) {
		if c, ok := p.(io.Closer); ok {
			if err := protect(c.Close); err != nil {
				log.Error("closing failed", "error", err)
			}
		}
	}
	for _, in := range e.inputs {
		end(in.log, in.in)
	}
	for _, f := range e.allSteps() {
		end(f.log, f.filter)
	}
	for _, s := range e.sinks {
		end(s.log, s.out)
	}
	if e.letters != nil {
		end(e.log, e.letters)
	}
	if e.dir != nil {
		end(e.log, e.dir)
	}
}

// route decides what happens to events of a tag.
func (e *Engine) route(tag string) *plan {
	p := &plan{}
	for _, f := range e.filters {
		if f.pattern.matches(tag) {
			p.filters = append(p.filters, f)
		}
	}
	for _, s := range e.sinks {
		if s.pattern.matches(tag) {
			p.sinks = append(p.sinks, s)
		}
	}
	return p
}

// deliver queues the entry at the sinks and gives up the caller's place.
func (e *Engine) deliver(en *entry, sinks []*sink) {
	for _, s := range sinks {
		if !s.takes(en.info.Signal) {
			continue
		}
		en.hold()
		d := &delivery{entry: en}
		if s.quota.limit > 0 {
			d.stored = en.stored
		}
		s.push(d)
	}
	en.release()
}

// flushAll closes all open chunks.
func (e *Engine) flushAll() {
	for _, in := range e.inputs {
		in.flush()
	}
	for _, s := range e.emitters {
		s.flush()
	}
}

// loadBacklog queues what an earlier run left on disk.
func (e *Engine) loadBacklog() error {
	if e.dir == nil {
		return nil
	}
	found, damaged, err := e.dir.Scan()
	e.damaged.Add(uint64(len(damaged)))
	for _, d := range damaged {
		e.log.Error("a stored chunk is damaged and was set aside", "file", d.Path, "rescued_records", d.Events, "error", d.Err)
		if e.service.Storage.DeleteBadChunks && d.Done {
			if err := os.Remove(d.Path); err != nil {
				e.log.Error("a damaged chunk cannot be deleted", "file", d.Path, "error", err)
				continue
			}
			e.log.Warn("the damaged chunk was deleted, as storage.delete_irrecoverable_chunks is on", "file", d.Path)
		}
	}
	if len(found) > 0 {
		e.log.Info("sending what is stored from before", "chunks", len(found), "bytes", e.dir.Bytes())
	}
	for _, info := range found {
		p := e.backlogSinks(info)
		if !p.takes(info.Signal) {
			e.log.Warn("no output matches a stored chunk; it stays on disk", "tag", info.Tag, "chunk", info.ID.String())
			continue
		}
		p.store(info.Signal, int64(info.Size))
		e.deliver(storedEntry(e, info), p.sinks)
	}
	return err
}

// quiet is how long nothing may have come from a socket before it is closed.
const quiet = 150 * time.Millisecond

// drainSockets waits until no input that reads sockets has emitted for a
// moment, at most until the deadline.
func (e *Engine) drainSockets(deadline time.Time) {
	for time.Now().Before(deadline) {
		busy := false
		for _, in := range e.inputs {
			if in.push && time.Since(e.epoch)-time.Duration(in.lastEmit.Load()) < quiet {
				busy = true
			}
		}
		if !busy {
			return
		}
		time.Sleep(quiet / 5)
	}
}

// drainSinks waits until everything is delivered or given up, at most until
// the deadline.
func (e *Engine) drainSinks(deadline time.Time) {
	timeout := time.After(time.Until(deadline))
	for {
		pending := 0
		for _, s := range e.sinks {
			pending += s.pending()
		}
		if pending == 0 {
			return
		}
		select {
		case <-e.idle:
		case <-timeout:
			return
		}
	}
}

// settled wakes drainSinks.
func (e *Engine) settled() {
	select {
	case e.idle <- struct{}{}:
	default:
	}
}

// summarize counts what was left and says so.
func (e *Engine) summarize() Summary {
	sum := Summary{ExitCode: int(e.exitCode.Load())}
	for _, s := range e.sinks {
		sum.Delivered += s.stats.records.Load()
		kept, unsaved, letters := s.abandon()
		sum.Dropped += s.stats.lostRecords.Load()
		sum.Letters += s.stats.letters.Load()
		if kept+unsaved+letters > 0 {
			s.log.Warn("records were not delivered in time", "kept_on_disk", kept, "dead_letters", letters, "not_on_disk", unsaved)
		}
		sum.OnDisk += kept
		sum.Lost += unsaved
	}
	e.log.Info("stopped", "delivered", sum.Delivered, "dropped", sum.Dropped, "kept_on_disk", sum.OnDisk, "dead_letters", sum.Letters)
	if sum.Lost > 0 {
		e.log.Error("records were not delivered and are not on disk; what can send them again are sources that keep their data, such as files", "records", sum.Lost)
	}
	return sum
}
