package tail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// turn reads a piece of f and emits its lines. more says that there is more to
// be read at once. The error is that of Emit; what is wrong with the file is
// logged, and the keeper tries again.
func (in *Input) turn(ctx context.Context, out plugin.Emitter, f *file) (more bool, err error) {
	if f.failed.Load() {
		return false, nil
	}
	if f.gzip != nil {
		return in.turnGzip(ctx, out, f)
	}
	st, err := f.f.Stat()
	if err != nil {
		in.fileError("look at", f, err)
		return false, nil
	}
	size, mtime := st.Size(), st.ModTime()
	switch start := f.offset + f.partial; {
	case size < start || f.offset == 0 && f.shrunk.Load():
		if err := in.truncated(ctx, f, func() error { return in.letGo(ctx, out, f, true) }, "it is shorter than before"); err != nil || f.after != nil {
			return err == nil, err // The copy of what it was comes first.
		}
	case size == start && mtime.Equal(f.mtime) && !(f.finish.Load() && f.partial > 0):
		return false, nil
	case size > start && f.partial >= probeFrom && !f.finish.Load():
		if !in.probe(f, size) {
			return false, nil
		}
	}
	f.mtime = mtime
	if f.unicode == unicodeAuto && !in.findEncoding(f, size) {
		f.partial = size
		f.pos.Store(size)
		return false, nil
	}

	b := event.NewBatch(f.tag)
	data, ok := in.piece(b, f, size)
	if !ok {
		b.Free()
		return true, in.truncated(ctx, f, func() error { return in.letGo(ctx, out, f, true) }, "its content has changed")
	}
	if data == nil {
		b.Free()
		return false, nil
	}
	atEnd := f.offset+int64(len(data)-f.before.n) >= size
	return in.emit(ctx, out, f, b, data, atEnd)
}

// emit cuts data, which begins with the bytes in front of f's offset that are
// in f.before, into lines and emits b with their records.
func (in *Input) emit(ctx context.Context, out plugin.Emitter, f *file, b *event.Batch, data []byte, atEnd bool) (more bool, err error) {
	head, skipping := f.before.n, f.skipping
	c := in.lines(b, f, data[head:], f.offset, time.Now().UnixNano(), f.finish.Load() && atEnd)
	var safe *mark
	if c.safe >= 0 {
		safe = &mark{f.offset + int64(c.safe), markerOf(data[:head+c.safe])}
	}
	safe = in.resumable(f, safe, data, f.offset-int64(head))
	// Data belongs to b, which is given away now.
	before, left := markerOf(data[:head+c.used]), len(data)-head-c.used
	if err := in.hand(ctx, out, f, b, safe); err != nil {
		f.skipping = skipping
		in.rewind(f)
		return false, err
	}
	f.offset += int64(c.used)
	f.before = before
	f.partial = 0
	if atEnd && !c.rest {
		f.partial = int64(left)
	}
	f.pos.Store(f.offset + f.partial)
	in.dropCache(f, int64(c.used))
	if c.err != nil {
		in.giveUp(f, fmt.Errorf("%w, %d", c.err, in.cfg.BufferMaxSize))
		return false, nil
	}
	// Nothing used in a piece that is not the last is a read that came short; the
	// keeper comes back to it.
	return c.rest || !atEnd && c.used > 0, nil
}

// hand emits b, if it has events, with an ack that lets the offset move to
// safe.
func (in *Input) hand(ctx context.Context, out plugin.Emitter, f *file, b *event.Batch, safe *mark) error {
	if len(b.Events) == 0 {
		b.Free()
		if safe != nil {
			f.ledger.skip(*safe)
		}
		return nil
	}
	e := f.ledger.begin(safe)
	b.Ack = event.NewAck(e.release)
	if err := out.Emit(ctx, b); err != nil {
		f.ledger.abort(e)
		return err
	}
	return nil
}

// piece reads from the offset of f on into the arena of b, where the lines stay
// as long as their events: so much that a line ends in it, or that it is too
// long. The result starts with f.before. It is nil after an error; ok is false
// if the content of the file was found to be another one.
func (in *Input) piece(b *event.Batch, f *file, size int64) (data []byte, ok bool) {
	head := int64(f.before.n)
	for want := in.readSize; ; want *= 2 {
		n := int(head + max(0, min(want, size-f.offset)))
		arena := b.Arena(n)
		buf := arena[len(arena) : len(arena)+n]
		got, err := f.f.ReadAt(buf, f.offset-head)
		if err != nil && !errors.Is(err, io.EOF) {
			in.fileError("read", f, err)
			return nil, true
		}
		buf = buf[:got]
		if int64(got) < head || !bytes.Equal(buf[:head], f.before.bytes()) {
			return nil, false
		}
		text := buf[head:]
		if got < n || f.offset+int64(len(text)) >= size || len(text) > in.longest || f.skipping {
			b.SetArena(arena[:len(arena)+got])
			return buf, true
		}
		if end, _ := f.unicode.lineEnd(text, f.offset); end >= 0 {
			b.SetArena(arena[:len(arena)+got])
			return buf, true
		}
	}
}

const (
	// probeFrom is how long an unfinished line may be to be read as a whole each
	// time it has grown. Of longer ones only what is new is looked at.
	probeFrom = 64 << 10
	probeSize = 64 << 10
)

// probe looks for a line end in what was added to an unfinished line and tells
// whether the line is to be read now: it is finished or too long.
func (in *Input) probe(f *file, size int64) bool {
	in.scratch = append(in.scratch[:0], make([]byte, probeSize)...)
	for at := f.offset + f.partial; at < size; {
		got, err := f.f.ReadAt(in.scratch[:min(probeSize, size-at)], at)
		if end, _ := f.unicode.lineEnd(in.scratch[:got], at); end >= 0 {
			return true
		}
		at += int64(got)
		f.partial = at - f.offset
		if f.partial > int64(in.longest) {
			return true
		}
		if err != nil || got == 0 {
			break
		}
	}
	f.pos.Store(f.offset + f.partial)
	return false
}

// findEncoding sets the encoding of a file for unicode.encoding auto. It
// returns false if there is nothing yet to tell it from.
func (in *Input) findEncoding(f *file, size int64) bool {
	if size < 2 {
		return false
	}
	head := make([]byte, min(size, 4096))
	n, err := f.f.ReadAt(head, 0)
	if n < 2 || err != nil && n < len(head) {
		return false
	}
	f.unicode = detect(head)
	return true
}
