package multiline

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// hold is what both modes need to hold events and to hand them on in the end.
type hold struct {
	out   plugin.Emitter
	wait  time.Duration // how long a message waits for its rest
	limit int           // bytes of text in a message; 0 is none
	total int           // bytes of all messages together
	grace time.Duration // for what is held when the process ends
	start time.Time     // what now counts from

	log        *slog.Logger
	stats      *plugin.Stats
	emitted    *plugin.Counter
	truncated  *plugin.Counter
	incomplete [reasons]*plugin.Counter

	wake chan struct{} // told when something is held where nothing was
}

// reason says why a message was handed on before it was complete.
type reason int

const (
	late    reason = iota // the rest did not come in time
	crowded               // the memory for messages is used up
	ending                // the process ends
	reasons
)

func newHold(env *plugin.Env, c *Config) *hold {
	h := &hold{
		out:   env.Emitter(c.EmitterName),
		wait:  c.wait(),
		limit: int(env.Service.MultilineBufferLimit),
		total: int(c.EmitterMemBufLimit),
		grace: env.Service.Grace,
		start: time.Now(),
		log:   env.Log,
		stats: env.Stats,
		wake:  make(chan struct{}, 1),
	}
	if h.total <= 0 {
		h.total = defaultTotal
	}
	if h.grace < 0 {
		h.grace = math.MaxInt64
	}
	h.emitted = env.Stats.Counter("fluentbit_filter_emit_records_total", "Total number of emitted records", "", "")
	h.truncated = env.Stats.Counter("fluentbit_filter_emit_truncated_total", "Joined records that were cut or went on in pieces because they were too long.", "", "")
	for r, name := range [reasons]string{late: "timeout", crowded: "memory", ending: "shutdown"} {
		h.incomplete[r] = env.Stats.Counter("kagari_filter_incomplete_messages_total",
			"Messages that were handed on before their last part came, by reason.", "reason", name)
	}
	return h
}

// defaultTotal is how much is held where emitter_mem_buf_limit is 0, in bytes.
const defaultTotal = 64 << 20

// now is the time in nanoseconds since 1970, by a clock that nobody sets.
func (h *hold) now() int64 { return h.start.UnixNano() + int64(time.Since(h.start)) }

// at is a time of that clock.
func (h *hold) at(ns int64) time.Time { return h.start.Add(time.Duration(ns - h.start.UnixNano())) }

// started tells run that something is held.
func (h *hold) started() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// run calls flush whenever something may be due, until ctx ends, and then end.
// flush returns when it wants to be called next, or zero if it waits for started.
// The context that they emit with outlives ctx by the grace period.
func (h *hold) run(ctx context.Context, flush func(context.Context) (next time.Time), end func(context.Context)) {
	emitCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		select {
		case <-time.After(h.grace):
			cancel()
		case <-emitCtx.Done():
		}
	})()
	timer := time.NewTimer(h.wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			end(emitCtx)
			return
		case <-h.wake:
		case <-timer.C:
		}
		next := flush(emitCtx)
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// emit emits a batch. When it is refused, because the process ends, it is lost
// here, but its ack is never released, so that sources send it again if they can.
func (h *hold) emit(ctx context.Context, b *event.Batch) {
	tag, n := b.Tag, len(b.Events)
	if err := h.out.Emit(ctx, b); err != nil {
		h.log.Error("joined records are not taken any more; they are lost unless their source sends them again", "tag", tag, "records", n, "error", err)
		h.stats.Drop("shutdown", n)
		return
	}
	h.emitted.Add(n)
}
