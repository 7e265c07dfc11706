package multiline

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	mlparser "github.com/kagarilog/kagari/parser/multiline"
	"github.com/kagarilog/kagari/plugin"
)

// Lines joins the texts that multiline parsers say belong together.
type Lines struct {
	*hold
	joiner *mlparser.Joiner
	buffer bool
	debug  io.Writer // for joined records, or nil

	streams streams
	ended   atomic.Bool // nothing is held any more
	work    sync.Pool   // of *[]event.Event
}

var (
	_ plugin.Filter = (*Lines)(nil)
	_ plugin.Runner = (*Lines)(nil)
)

func newLines(c *Config, env *plugin.Env, h *hold) (*Lines, error) {
	if len(c.Parsers) == 0 {
		return nil, fmt.Errorf("the mode %s needs at least one multiline.parser", modeParser)
	}
	if c.Buffer && h.wait < minFlush {
		return nil, option.At("flush_ms", fmt.Errorf("flush_ms %d is too short; use at least %d", c.FlushMs, minFlush.Milliseconds()))
	}
	var parsers []*mlparser.Parser
	for _, name := range c.Parsers {
		p, err := env.Multiline(name)
		if err != nil {
			return nil, option.AtText("multiline.parser", name, err)
		}
		if p.Repeats() {
			env.Log.Info("this multiline parser gives out the last line of a record once more, as it does in Fluent Bit, "+
				"where a rule leads back to a state from which records begin", "parser", p.Name())
		}
		parsers = append(parsers, p)
	}
	// Without the buffer the timeout does not matter, but must not be too short.
	joiner, err := mlparser.NewJoiner(parsers, mlparser.Options{
		KeyContent: c.KeyContent, BufferLimit: int64(h.limit), Timeout: max(h.wait, minFlush)})
	if err != nil {
		return nil, err
	}
	f := &Lines{hold: h, joiner: joiner, buffer: c.Buffer, streams: streams{byID: map[string]*stream{}, most: maxStreams, next: math.MaxInt64}}
	f.work.New = func() any { return new([]event.Event) }
	if c.DebugFlush {
		f.debug = os.Stdout
	}
	return f, nil
}

// Filter joins events. With the buffer it takes all of them and emits those that
// are complete, as Fluent Bit does; without it the joined ones are left in b.
//
// What the emitter refuses, because the process ends, is logged and its ack never
// released. It cannot stay in b, as it may have come with other batches.
func (f *Lines) Filter(ctx context.Context, b *event.Batch) error {
	if len(b.Events) == 0 {
		return nil
	}
	from := originOf(ctx)
	if from.has(f) {
		return nil
	}
	f.join(ctx, b, from)
	f.relieve(ctx, from)
	return nil
}

func (f *Lines) join(ctx context.Context, b *event.Batch, from *origin) {
	s := f.streams.lock(b, f.now(), f.joiner.NewStream)
	defer s.mu.Unlock()
	now := f.now() // which may be later, and must not go back within a stream
	if f.buffer {
		s.from = s.from.and(from)
		f.joinInto(ctx, s, b, now)
	} else {
		f.joinWithin(s, b, now)
	}
	f.update(s, now)
}

// joinWithin joins the events of b among each other.
func (f *Lines) joinWithin(s *stream, b *event.Batch, now int64) {
	w := f.work.Get().(*[]event.Event)
	*w = append((*w)[:0], b.Events...)
	b.Events = b.Events[:0]
	f.feed(s, b, *w, now)
	s.joined.Flush(b, now)
	f.print(s, b)
	clear(*w)
	if cap(*w) <= 1<<14 {
		f.work.Put(w)
	}
}

// joinInto takes the events of b and emits what is complete.
func (f *Lines) joinInto(ctx context.Context, s *stream, b *event.Batch, now int64) {
	out := event.NewBatch(s.tag)
	s.first = math.MaxInt64
	f.feed(s, out, b.Events, now)
	s.arrived(b)
	clear(b.Events)
	b.Events = b.Events[:0]
	if f.ended.Load() {
		s.joined.Flush(out, now)
	}
	f.handOn(ctx, s, out)
}

// feed gives events to the stream, which adds to out what is complete.
func (f *Lines) feed(s *stream, out *event.Batch, events []event.Event, now int64) {
	for i := range events {
		s.pos++
		if s.joined.Event(out, &events[i], s.pos, now) {
			f.log.Warn("a joined record is longer than multiline_buffer_limit and is cut", "tag", s.tag, "limit", f.limit)
			f.truncated.Add(1)
		}
	}
}

// handOn emits out, which has what the stream has given out since s.first was
// set. The stream is locked meanwhile, so that its records stay in order.
func (f *Lines) handOn(ctx context.Context, s *stream, out *event.Batch) {
	if len(out.Events) == 0 {
		out.Free()
		s.settle()
		return
	}
	f.print(s, out)
	s.acksOf(out)
	s.settle()
	if s.from == nil || s.from.filter != f {
		s.from = &origin{f, s.from}
	}
	f.emit(s.from.into(ctx), out)
}

// update notes what has become of a locked stream.
func (f *Lines) update(s *stream, used int64) {
	if f.streams.update(s, used) {
		f.started()
	}
}

// relieve gets rid of streams that are too much. Whoever comes from another
// filter of this kind, whose stream is locked meanwhile, must not wait for a
// stream here, or two of them may wait for each other; it leaves the rest to
// others.
func (f *Lines) relieve(ctx context.Context, from *origin) {
	for s := f.streams.surplus(f.total); s != nil; s = f.streams.surplus(f.total) {
		if from == nil {
			s.mu.Lock()
		} else if !s.mu.TryLock() {
			return
		}
		f.empty(ctx, s, crowded)
	}
}

// empty emits what a locked stream holds, forgets it and unlocks it.
func (f *Lines) empty(ctx context.Context, s *stream, why reason) {
	defer s.mu.Unlock()
	if s.gone {
		return
	}
	out := event.NewBatch(s.tag)
	s.first = math.MaxInt64
	s.joined.Flush(out, f.now())
	if n := len(out.Events); n > 0 {
		f.incomplete[why].Add(n)
		if why == crowded {
			f.log.Warn("too much is held of records that may not be complete; the oldest go on as they are", "tag", s.tag, "limit", f.total)
		}
	}
	f.handOn(ctx, s, out)
	f.streams.forget(s)
}

// Run emits what is held for too long.
func (f *Lines) Run(ctx context.Context, _ plugin.Emitter) error {
	f.run(ctx, f.flush, f.end)
	return nil
}

// flush emits what is due, and forgets streams that nothing came for.
func (f *Lines) flush(ctx context.Context) (next time.Time) {
	for {
		s, due := f.streams.expired(f.now())
		switch {
		case s != nil:
			f.expire(ctx, s)
		case due > 0:
			return f.at(due)
		default:
			return time.Time{}
		}
	}
}

// expire emits what the stream has held for too long. While lines are coming, and
// where its events were held up, a record gets twice the time, so that it is not
// cut in the middle.
func (f *Lines) expire(ctx context.Context, s *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := f.now()
	if s.gone {
		return
	}
	deadline, holds := s.joined.Deadline()
	if !holds {
		if now-s.used >= int64(idleTime) { // else events came just now
			f.streams.forget(s)
		}
		return
	}
	if later := min(s.used+int64(f.wait)/4, deadline+int64(f.wait)); later > now {
		f.streams.postpone(s, later)
		return
	}
	out := event.NewBatch(s.tag)
	s.first = math.MaxInt64
	s.joined.Expire(out, now)
	f.handOn(ctx, s, out)
	f.update(s, s.used)
}

// end emits everything, and holds nothing from now on: filters before this one
// may still emit what they hold.
func (f *Lines) end(ctx context.Context) {
	f.ended.Store(true)
	for s := f.streams.any(); s != nil; s = f.streams.any() {
		s.mu.Lock()
		f.empty(ctx, s, ending)
	}
}

// print writes joined records to the standard output, if debug_flush asks for it.
func (f *Lines) print(s *stream, b *event.Batch) {
	if f.debug == nil {
		return
	}
	var text []byte
	for i := range b.Events {
		e := &b.Events[i]
		text = fmt.Appendf(text, "\n----- MULTILINE FLUSH (tag=%s) -----\n[%d.%09d, ", s.tag, e.Time/1e9, e.Time%1e9)
		text = append(event.AppendText(text, e.Record()), "]\n----------- EOF -----------\n"...)
	}
	if _, err := f.debug.Write(text); err != nil {
		f.log.Warn("joined records cannot be printed", "error", err)
	}
}
