package tail

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// What is held of a file by its joiner was read but not emitted. The mark of the
// ledger stays in front of it, so that it is read again after a crash.

// expire emits what has been held for its time. As there may be more lines at
// hand that belong to it, the file is read before.
func (in *Input) expire(ctx context.Context, out plugin.Emitter) error {
	if len(in.holders.files) == 0 {
		return nil
	}
	now := time.Now().UnixNano()
	if !in.joining.isDue(in.holders.due, now) {
		return nil
	}
	in.holders.due = math.MaxInt64
	for f := range in.holders.files {
		if _, due, _ := f.join.held(); !in.joining.isDue(due, now) {
			in.holders.note(f)
			continue
		}
		if !in.queue.claim(f) {
			delete(in.holders.files, f)
			continue
		}
		if err := in.giveLate(ctx, out, f); err != nil {
			return err
		}
	}
	return nil
}

// giveLate gives a claimed file a turn and then emits what is due of it.
func (in *Input) giveLate(ctx context.Context, out plugin.Emitter, f *file) error {
	more, err := in.turn(ctx, out, f)
	if !more && err == nil {
		in.atEnd(f)
		err = in.letGo(ctx, out, f, false)
	}
	return in.given(ctx, f, more, err)
}

// letGo emits what is held of a file: all of it, or what is due.
func (in *Input) letGo(ctx context.Context, out plugin.Emitter, f *file, all bool) error {
	if f.join == nil {
		return nil
	}
	if _, _, held := f.join.held(); !held {
		return nil
	}
	b := event.NewBatch(f.tag)
	at := f.offset
	if f.gzip != nil {
		at = f.gzip.at
	}
	f.join.flush(b, at, time.Now().UnixNano(), all)
	end := &mark{f.offset, f.before}
	switch {
	case f.skipping:
		end = nil
	case f.gzip != nil:
		end = f.gzip.mark(f)
	}
	if err := in.hand(ctx, out, f, b, in.resumable(f, end, nil, 0)); err != nil {
		in.rewind(f)
		return err
	}
	in.holders.note(f)
	return nil
}

// letAllGo emits everything that is held.
func (in *Input) letAllGo(ctx context.Context, out plugin.Emitter) error {
	var errs []error
	for f := range in.holders.files {
		if in.queue.claim(f) {
			errs = append(errs, in.letGo(ctx, out, f, true))
			in.queue.done(f, true)
		}
	}
	return errors.Join(errs...)
}

// lastWait is how long records that are held at the end may wait to be taken.
const lastWait = time.Second

// letAllGoAtEnd is letAllGo after the end of ctx. What is not taken in time is
// read again at the next start if there is a database.
func (in *Input) letAllGoAtEnd(ctx context.Context, out plugin.Emitter) {
	if len(in.holders.files) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWait)
	defer cancel()
	if err := in.letAllGo(ctx, out); err != nil {
		in.log.Warn("incomplete records could not be sent at the end; with a database they are read again", "error", err)
	}
}

// resumable returns the mark at which reading may go on after a crash when
// everything that was emitted is acknowledged: end, or where the first line that
// is held starts. It is nil if that has not changed. data, if not nil, is what
// was read from an offset on, together with what is in front of end.
func (in *Input) resumable(f *file, end *mark, data []byte, from int64) *mark {
	if f.join == nil {
		return end
	}
	first, _, held := f.join.held()
	switch {
	case !held:
		return end
	case f.gzip != nil || first <= f.ledger.end().offset:
		return nil
	case data != nil && first >= from+int64(f.before.n):
		return &mark{first, markerOf(data[:first-from])}
	}
	before, err := f.window(first)
	if err != nil {
		return nil
	}
	return &mark{first, before}
}

// rewind makes a file be read again from where it was emitted: what was read
// and joined since was not taken.
func (in *Input) rewind(f *file) {
	if f.join == nil {
		return
	}
	last := f.ledger.end()
	f.join = in.newJoiner(f)
	f.offset, f.before, f.partial, f.skipping = last.offset, last.before, 0, false
	f.mtime = time.Time{}
	f.pos.Store(f.offset)
	if f.gzip != nil {
		f.gzip.reset(f.offset)
	}
	in.holders.note(f)
}
