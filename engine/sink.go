package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kagarilog/kagari/buffer"
	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// sink is an output with its queue, workers and retries.
type sink struct {
	engine     *Engine
	id         string
	name       string // without the alias
	alias      string // as configured
	plugin     string
	out        plugin.Output
	pattern    pattern
	log        *slog.Logger
	env        *plugin.Env
	processors []*step
	workers    int
	// serial keeps the chunks of one tag in order by sending one at a time.
	serial     bool
	retryLimit int // further attempts after the first, or config.RetryUnlimited
	metrics    bool

	mu      sync.Mutex
	more    *sync.Cond
	queue   []*delivery            // ready to be sent
	waiting map[*delivery]struct{} // for their next attempt
	sending map[*delivery]struct{}
	parked  []*delivery     // given up for this run, see settle
	busy    map[string]bool // tags being sent, if serial
	closed  bool
	hurry   bool // the process is ending: retry soon

	// hopeless is set while there is no point in sending refused chunks in parts.
	hopeless atomic.Bool

	quota   quota
	stats   sinkStats
	failure failure
	scanned scanned
}

// sinkStats counts what happened to records, bytes and chunks.
type sinkStats struct {
	records, bytes atomic.Uint64
	errors         atomic.Uint64 // chunks refused for good, as Fluent Bit counts
	retries        atomic.Uint64
	retriedRecords atomic.Uint64
	retriesFailed  atomic.Uint64
	droppedRecords atomic.Uint64 // given up, as Fluent Bit counts
	lostRecords    atomic.Uint64 // those of which there is no dead letter
	letters        atomic.Uint64 // dead letters written

	inputs sync.Map  // name of an input → *fromInput
	waits  histogram // before further attempts
}

// fromInput counts the log records of one input, by what became of them, and
// how long chunks took.
type fromInput struct {
	records, bytes               atomic.Uint64
	droppedRecords, droppedBytes atomic.Uint64
	latency                      histogram // from the first event in a chunk to its delivery
}

// from returns the numbers of the input that a delivery came through.
func (st *sinkStats) from(d *delivery) *fromInput {
	name := d.entry.info.Input
	if n, ok := st.inputs.Load(name); ok {
		return n.(*fromInput)
	}
	n, _ := st.inputs.LoadOrStore(name, new(fromInput))
	return n.(*fromInput)
}

// delivery is one chunk on its way to one output.
type delivery struct {
	entry    *entry
	part     *event.Chunk // the events left after a partial success, or nil
	stored   int64        // counted against the quota of the output
	attempts int
	first    string      // the error of the first attempt
	timer    *time.Timer // while waiting
	// processed is set once the output's own processors have run. If there is
	// something left then, it is in part.
	processed bool
	early     bool // tried again before its time, as the process is ending
}

// takes tells whether the output takes what carries the signal.
func (s *sink) takes(signal event.Signal) bool { return signal != event.Metrics || s.metrics }

func (s *sink) pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) + len(s.waiting) + len(s.sending)
}

// sends is how many deliveries are being sent.
func (s *sink) sends() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sending)
}

// push queues a chunk; the sink takes over one holder's place of the entry.
func (s *sink) push(d *delivery) {
	s.mu.Lock()
	s.queue = append(s.queue, d)
	s.mu.Unlock()
	s.more.Signal()
}

// next waits for a delivery, or returns nil when the sink is closed.
func (s *sink) next() *delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed {
		for i, d := range s.queue {
			tag := d.entry.info.Tag
			if s.serial && s.busy[tag] {
				continue
			}
			s.queue = slices.Delete(s.queue, i, i+1)
			s.sending[d] = struct{}{}
			if s.serial {
				s.busy[tag] = true
			}
			return d
		}
		s.more.Wait()
	}
	return nil
}

// run is one worker.
func (s *sink) run(ctx context.Context) {
	for d := s.next(); d != nil; d = s.next() {
		err := s.send(ctx, d)
		if refuses(err) {
			err = s.isolate(ctx, d, err)
		}
		again := s.settle(d, err)
		s.mu.Lock()
		delete(s.sending, d)
		delete(s.busy, d.entry.info.Tag)
		switch {
		case again == parked:
			s.parked = append(s.parked, d)
		case again > 0:
			s.retryIn(d, again)
		}
		s.mu.Unlock()
		s.more.Signal()
		s.engine.settled()
	}
}

// send makes one attempt.
func (s *sink) send(ctx context.Context, d *delivery) error {
	d.attempts++
	chunk := d.part
	if chunk == nil {
		var err error
		if chunk, err = d.entry.load(); err != nil {
			if buffer.Damaged(err) || errors.Is(err, fs.ErrNotExist) {
				return &unreadableError{err}
			}
			d.attempts-- // The destination was not asked.
			return err
		}
		if len(s.processors) > 0 && chunk.Signal == event.Logs {
			whole := chunk
			if chunk = s.process(ctx, d.entry.source, whole); chunk != whole {
				whole.Release()
			}
			d.processed = true
		}
	} else {
		chunk.Hold()
	}
	defer chunk.Release()
	if chunk.Count == 0 {
		return nil
	}
	err := protect(func() error { return s.out.Send(ctx, chunk) })
	delivered, size := chunk.Count, chunk.Size()
	var partial *plugin.PartialError
	switch {
	case errors.As(err, &partial):
		rest, ok := selectRest(chunk, partial)
		if !ok {
			return fmt.Errorf("BUG: the output names events that the chunk does not have: %w", err)
		}
		delivered -= len(partial.Retry) + len(partial.Rejected)
		size = size * delivered / chunk.Count // Near enough.
		if len(partial.Rejected) > 0 {
			refused := chunk.Select(partial.Rejected)
			fate := s.reject(d, refused, "rejected", partial.Err)
			refused.Release()
			s.drop(d, "rejected", len(partial.Rejected), fate)
			s.log.Error("the destination refused records for good; they "+fate.text, append(fate.attrs, "records", len(partial.Rejected), "tag", chunk.Tag, "error", partial.Err)...)
			s.failure.note(err)
		}
		if d.part != nil {
			d.part.Release()
		}
		d.part = rest
		if rest.Count == 0 {
			err = nil
		}
	case err != nil:
		if s.processors != nil && d.part == nil {
			// What the processors made is sent again as it is: they may count.
			chunk.Hold()
			d.part = chunk
		}
		return err
	}
	s.delivered(d, delivered, size)
	return err
}

// delivered counts records and bytes that have arrived.
func (s *sink) delivered(d *delivery, records, size int) {
	s.stats.records.Add(uint64(records))
	s.stats.bytes.Add(uint64(size))
	if records > 0 {
		s.hopeless.Store(false)
	}
	if d.entry.info.Signal == event.Logs && records > 0 {
		from := s.stats.from(d)
		from.records.Add(uint64(records))
		from.bytes.Add(uint64(size))
	}
}

// selectRest makes the chunk of the events to send again. It fails if the
// indexes do not rise or are not those of events.
func selectRest(c *event.Chunk, p *plugin.PartialError) (*event.Chunk, bool) {
	if len(p.Retry)+len(p.Rejected) > c.Count {
		return nil, false
	}
	rest := c.Select(p.Retry)
	if rest.Count != len(p.Retry) {
		rest.Release()
		return nil, false
	}
	return rest, true
}

// unreadableError is a stored chunk that cannot be read back.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string { return e.err.Error() }

// process runs the output's own processors over a copy of the chunk, which came
// in through from. None of them sees again what it has emitted itself, so that
// one which gives events a new tag does not go round for ever.
func (s *sink) process(ctx context.Context, from *source, c *event.Chunk) *event.Chunk {
	b := event.NewBatch(c.Tag)
	for cur := c.Cursor(); cur.Next(); {
		e := b.Add(cur.Time)
		e.Meta = cur.Meta
		e.SetRecord(cur.Record)
	}
	size := b.Size()
	for _, st := range s.processors {
		if st.emitter != from {
			size = st.apply(ctx, b, size)
		}
	}
	bu := event.NewBuilder(c.Tag, c.Signal, c.ID.Created())
	for done := 0; done < len(b.Events); {
		done = bu.Seal(b, done, 1<<62)
	}
	b.Free()
	return bu.Chunk()
}

// parked is what settle returns of a delivery that is not tried again in this
// run, but is not given up either.
const parked = time.Duration(-1)

// settle decides what follows from the result of an attempt: the time until
// the next one, 0 when the delivery has ended, or parked.
func (s *sink) settle(d *delivery, err error) time.Duration {
	if err == nil {
		s.stats.from(d).latency.observe(latencyBounds, max(time.Since(d.entry.info.Created), 0))
		s.finish(d)
		return 0
	}
	s.failure.note(err)
	var permanent *plugin.PermanentError
	var partial *plugin.PartialError
	var unreadable *unreadableError
	refused := errors.As(err, &permanent) && !errors.As(err, &partial)
	if s.engine.sendCtx.Err() != nil && !refused {
		// The grace period is over; the chunk is dealt with as undelivered.
		return parked
	}
	if d.first == "" {
		d.first = errorText(err)
	}
	attrs := []any{"chunk", d.entry.info.ID.String(), "tag", d.entry.info.Tag, "records", s.left(d), "attempt", d.attempts, "error", err}
	switch {
	case errors.As(err, &unreadable):
		s.stats.errors.Add(1)
		where, asideErr := s.engine.dir.SetAside(d.entry.info)
		s.log.Error("a stored chunk cannot be read and was set aside; kagari buffer repair rescues what is whole of it", append(attrs, "file", where, "aside_error", asideErr)...)
		s.drop(d, "corrupt_chunk", s.left(d), fate{})
		s.finish(d)
		return 0
	case refused:
		s.stats.errors.Add(1)
		fate := s.giveUp(d, "refused", err)
		s.log.Error("the destination refused the chunk for good; its records "+fate.text, append(attrs, fate.attrs...)...)
		return 0
	case s.retryLimit != config.RetryUnlimited && d.attempts > s.retryLimit:
		if d.early {
			// The attempts came closer together than they should, as the process is
			// ending. That is no reason to lose the records.
			s.log.Warn("all attempts have failed; as they were hurried the records are kept", append(attrs, "retry_limit", s.retryLimit)...)
			return parked
		}
		s.stats.retriesFailed.Add(1)
		fate := s.giveUp(d, "retries_exhausted", err)
		s.log.Error("all attempts have failed; the records "+fate.text, append(append(attrs, "retry_limit", s.retryLimit), fate.attrs...)...)
		return 0
	}
	wait := s.engine.backoff(d.attempts)
	var after *plugin.RetryAfterError
	if errors.As(err, &after) && after.After > 0 {
		wait = min(after.After, s.engine.retryCap)
	}
	s.stats.retries.Add(1)
	s.stats.waits.observe(waitBounds, wait)
	s.stats.retriedRecords.Add(uint64(s.left(d)))
	s.log.Warn("sending failed and is tried again", append(attrs, "in", wait.Round(time.Millisecond))...)
	return wait
}

func (s *sink) left(d *delivery) int {
	if d.part != nil {
		return d.part.Count
	}
	return d.entry.info.Count
}

func (s *sink) finish(d *delivery) {
	if d.part != nil {
		d.part.Release()
		d.part = nil
	}
	d.entry.release()
	if d.stored > 0 {
		s.quota.add(-d.stored)
	}
}

// retryIn puts a delivery aside for a while. s.mu is held.
func (s *sink) retryIn(d *delivery, wait time.Duration) {
	if s.hurry && wait > hurryWait {
		wait, d.early = hurryWait, true
	}
	d.entry.rest()
	s.waiting[d] = struct{}{}
	d.timer = time.AfterFunc(wait, func() { s.wake(d) })
}

// wake makes a waiting delivery ready.
func (s *sink) wake(d *delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.waiting[d]; !ok {
		return
	}
	delete(s.waiting, d)
	s.queue = append(s.queue, d)
	s.more.Signal()
}

// hurryWait is the longest time between attempts while the process is ending.
const hurryWait = 500 * time.Millisecond

// rush makes all waiting deliveries ready at once and later ones soon: the
// process is ending.
func (s *sink) rush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hurry = true
	n := len(s.queue)
	for d := range s.waiting {
		if d.timer.Stop() { // Else wake waits for the lock.
			d.early = true
			delete(s.waiting, d)
			s.queue = append(s.queue, d)
		}
	}
	slices.SortFunc(s.queue[n:], func(a, b *delivery) int { return a.entry.info.Created.Compare(b.entry.info.Created) })
	s.more.Broadcast()
}

// close ends the workers; what they are sending they finish.
func (s *sink) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.more.Broadcast()
}

// abandon ends everything that was not delivered, after the workers have
// ended; of one that has not, it counts what it is sending. It returns the
// records that are kept on disk, those that are not, and those that became dead
// letters.
func (s *sink) abandon() (kept, unsaved, letters int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := func(d *delivery, n int) {
		switch {
		case s.engine.keepUndelivered && d.entry.only() && s.bury(d):
			letters += n
		case d.entry.keep():
			kept += n
		default:
			unsaved += n
		}
	}
	for d := range s.sending { // It may yet arrive.
		if n := d.entry.info.Count; d.entry.keep() {
			kept += n
		} else {
			unsaved += n
		}
	}
	for d := range s.waiting {
		d.timer.Stop()
		count(d, s.left(d))
	}
	for _, d := range slices.Concat(s.queue, s.parked) {
		count(d, s.left(d))
	}
	clear(s.waiting)
	s.queue, s.parked = nil, nil
	return kept, unsaved, letters
}

// backoff returns the time to wait after so many attempts: exponential, with
// full jitter between the base and the current ceiling, as Fluent Bit's
// scheduler.base and scheduler.cap say.
func (e *Engine) backoff(attempts int) time.Duration {
	base, ceiling := e.retryBase, e.retryBase
	for range attempts {
		if ceiling > e.retryCap/2 {
			ceiling = e.retryCap
			break
		}
		ceiling *= 2
	}
	return base + rand.N(ceiling-base+1)
}
