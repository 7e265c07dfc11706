package engine

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
)

// quota bounds what waits for one output in chunks on disk, open chunks that
// will go there included: storage.total_limit_size. A chunk counts with its data
// for each of its outputs until that one has delivered it or given it up. Like
// any budget it may be exceeded by what the inputs hold at that moment.
type quota struct {
	budget
	policy string // one of the values of storage.total_limit_policy
	// making is held while room is made, before any other lock, so that two inputs
	// do not both give up a chunk where one is enough.
	making sync.Mutex
}

// fits tells whether n bytes more are within the limit.
func (q *quota) fits(n int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.limit <= 0 || q.used+n <= q.limit
}

// available is what is left, in percent.
func (q *quota) available() float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.limit <= 0 {
		return 100
	}
	return max(100*(1-float64(q.used)/float64(q.limit)), 0)
}

// quota gives an output its limit.
func (b *builder) quota(inst *config.Instance, s *sink, o *config.OutputOptions) {
	if b.engine.dir == nil || o.TotalLimitSize <= 0 {
		return
	}
	s.quota.limit, s.quota.policy = o.TotalLimitSize, o.TotalLimitPolicy
	b.engine.limited = true
	if o.TotalLimitPolicy == config.LimitDeadLetter && b.engine.letters == nil {
		b.problems = append(b.problems, option.Problem{Pos: inst.Pos, Section: inst.Title(), Key: "storage.total_limit_policy",
			Message: "there are no dead letters without storage.keep.rejected in the service section"})
	}
}

// store counts n bytes against the quotas of the outputs.
func (p *plan) store(signal event.Signal, n int64) {
	for _, s := range p.sinks {
		if s.quota.limit > 0 && s.takes(signal) {
			s.quota.add(n)
		}
	}
}

// admitStored waits until a batch of a source with storage.type filesystem has
// room on disk. Where the events are spread over routes it asks for all of them.
func (s *source) admitStored(ctx context.Context, b *event.Batch) error {
	if !s.filesystem || s.unbounded {
		return nil
	}
	if e := s.engine; s.frugal && e.fresh.full() {
		s.log.Warn("paused: there are as many chunks on disk as there may be", "chunks", e.fresh.bytes(), "limit", e.fresh.limit)
		if err := s.pause(ctx, &e.fresh); err != nil {
			return err
		}
	}
	if !s.engine.limited {
		return nil
	}
	if err := s.admitTo(ctx, s.plan(b.Tag, b.Signal), b); err != nil {
		return err
	}
	if rs := s.routes[b.Signal]; rs != nil {
		for _, p := range rs.parts {
			if err := s.admitTo(ctx, p.plan, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// admitTo asks the outputs of a plan.
func (s *source) admitTo(ctx context.Context, p *plan, b *event.Batch) error {
	for _, out := range p.sinks {
		q := &out.quota
		if q.limit <= 0 || !out.takes(b.Signal) {
			continue
		}
		if q.policy != config.LimitBlock {
			out.makeRoom(int64(b.Size()))
			continue
		}
		if !q.full() {
			continue
		}
		s.log.Warn("paused: storage.total_limit_size of an output is used up", "output", out.id, "used", q.bytes(), "limit", q.limit)
		if s.openBytes() > q.limit/2 {
			s.flush() // Nothing leaves an open chunk before the next flush.
		}
		if err := s.pause(ctx, &q.budget); err != nil {
			return err
		}
	}
	return nil
}

// pause waits until a budget has room.
func (s *source) pause(ctx context.Context, b *budget) error {
	s.paused.Store(true)
	defer s.paused.Store(false)
	start := time.Now()
	if err := b.wait(ctx); err != nil {
		return err
	}
	s.log.Debug("resumed", "after", time.Since(start))
	return nil
}

// overLimit is the reason for which chunks are given up to keep to a quota.
const overLimit = "storage_limit"

var errOverLimit = errors.New("storage.total_limit_size is reached, and newer events came")

// makeRoom gives up the oldest stored chunks that wait for this output, until n
// bytes more fit. What is being sent stays, and so do open chunks, so there may
// be too little to give up. Other outputs get the chunks all the same.
func (s *sink) makeRoom(n int64) {
	if s.quota.fits(n) {
		return
	}
	s.quota.making.Lock()
	defer s.quota.making.Unlock()
	for !s.quota.fits(n) {
		d := s.takeOldest()
		if d == nil {
			return
		}
		s.evict(d)
		s.engine.settled()
	}
}

// takeOldest takes the oldest stored chunk that is not being sent off the
// queue, or returns nil.
func (s *sink) takeOldest() (oldest *delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	older := func(d *delivery) bool {
		return d.stored > 0 && (oldest == nil || bytes.Compare(d.entry.info.ID[:], oldest.entry.info.ID[:]) < 0)
	}
	for _, d := range s.queue {
		if older(d) {
			oldest = d
		}
	}
	for d := range s.waiting {
		if older(d) {
			oldest = d
		}
	}
	if oldest == nil {
		return nil
	}
	if _, ok := s.waiting[oldest]; ok {
		oldest.timer.Stop() // If it is too late for that, wake finds nothing.
		delete(s.waiting, oldest)
		return oldest
	}
	i := slices.Index(s.queue, oldest)
	s.queue = slices.Delete(s.queue, i, i+1)
	return oldest
}

// evict ends a delivery that there is no room for.
func (s *sink) evict(d *delivery) {
	info, n := d.entry.info, s.left(d)
	f := fate{text: "are dropped"}
	if s.quota.policy == config.LimitDeadLetter {
		f = s.giveUp(d, overLimit, errOverLimit)
	} else {
		s.drop(d, overLimit, n, f)
		s.finish(d)
	}
	s.log.Error("storage.total_limit_size is reached; the oldest records that wait "+f.text,
		append(f.attrs, "chunk", info.ID.String(), "tag", info.Tag, "records", n, "limit", s.quota.limit)...)
}
