package tail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// gzipState is how far a compressed file was read: one whose name ends in .gz.
// Such a file is one or more members (RFC 1952) and cannot be read from any
// place but the start of a member, so only those, and the end of the file, are
// offsets that are stored.
type gzipState struct {
	member int64  // where the current member starts in the file
	used   int64  // bytes of the member's text that carry or lines have
	looked int64  // size of the file up to which there is nothing more
	at     int64  // offset of carry in the text of all members
	carry  []byte // text that was not made into lines yet
	rest   bool   // carry has complete lines
	began  bool   // a member was read to its end since reset

	src    *countingReader
	reader *gzip.Reader // nil between two members and while waiting for more
}

func isGzip(path string) bool {
	return len(path) >= 3 && strings.EqualFold(path[len(path)-3:], ".gz")
}

// reset makes the member at offset the next one.
func (g *gzipState) reset(offset int64) { *g = gzipState{member: offset} }

// mark returns the place between two members at which the state stands, or nil.
func (g *gzipState) mark(f *file) *mark {
	if g.reader != nil || g.used > 0 || len(g.carry) > 0 {
		return nil
	}
	return &mark{g.member, f.before}
}

// wait lets go of the decompressor; the current member is read again from its
// start when the file has become larger than size.
func (g *gzipState) wait(size int64) { g.src, g.reader, g.looked = nil, nil, size }

// countingReader counts what is read off it and is an io.ByteReader, so that
// the decompressor reads nothing behind a member.
type countingReader struct {
	r *bufio.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *countingReader) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

// turnGzip is turn for a compressed file.
func (in *Input) turnGzip(ctx context.Context, out plugin.Emitter, f *file) (more bool, err error) {
	g := f.gzip
	st, err := f.f.Stat()
	if err != nil {
		in.fileError("look at", f, err)
		return false, nil
	}
	size := st.Size()
	switch {
	case size < max(g.looked, g.member):
		err = in.truncated(ctx, f, func() error { return in.letGo(ctx, out, f, true) }, "it is shorter than before")
	case size == g.looked && !g.rest:
		return false, nil
	case g.reader == nil && g.member > 0:
		if m, unread := f.window(g.member); unread == nil && !bytes.Equal(m.bytes(), f.before.bytes()) {
			err = in.truncated(ctx, f, func() error { return in.letGo(ctx, out, f, true) }, "its content has changed")
		}
	}
	if err != nil {
		return false, err
	}

	b := event.NewBatch(f.tag)
	text, boundary, broken := in.inflate(f, b, size)
	if errors.Is(broken, gzip.ErrHeader) && g.member > 0 && !g.began {
		// Fluent Bit stores offsets that are within a member.
		b.Free()
		return true, in.truncated(ctx, f, func() error { return in.letGo(ctx, out, f, true) }, "no part of the compressed file starts at the stored offset")
	}
	if boundary {
		f.before, _ = f.window(g.member)
	}
	c := in.lines(b, f, text, g.at, time.Now().UnixNano(), boundary && g.member >= size)
	// Text belongs to b, which is given away now.
	carry := slices.Clone(text[c.used:])
	var safe *mark
	if boundary && len(carry) == 0 {
		safe = &mark{g.member, f.before}
	}
	if err := in.hand(ctx, out, f, b, in.resumable(f, safe, nil, 0)); err != nil {
		last := f.ledger.end()
		g.reset(last.offset)
		f.before, f.skipping = last.before, false
		in.rewind(f)
		return false, err
	}
	g.at += int64(c.used)
	g.carry, g.rest = carry, c.rest
	if boundary && g.member >= size {
		g.wait(size)
	}
	f.offset = g.member
	f.pos.Store(max(g.member, g.looked))
	switch {
	case c.err != nil:
		in.giveUp(f, fmt.Errorf("%w, %d", c.err, in.cfg.BufferMaxSize))
		return false, nil
	case broken != nil:
		in.giveUp(f, broken)
		return false, nil
	}
	return g.rest || g.looked < size, nil
}

// inflate puts what is left of the last turn and, unless that has complete
// lines, more text into the arena of b. boundary says that the text is up to
// the end of a member; the state stands at the start of the next one then.
func (in *Input) inflate(f *file, b *event.Batch, size int64) (text []byte, boundary bool, err error) {
	g := f.gzip
	room := len(g.carry) + int(in.readSize)
	arena := b.Arena(room)
	start := len(arena)
	buf := append(arena, g.carry...)
	if !g.rest {
		if err = g.open(f, size); err == nil {
			for err == nil && len(buf) < start+room {
				var n int
				n, err = g.reader.Read(buf[len(buf) : start+room])
				buf = buf[:len(buf)+n]
				g.used += int64(n)
			}
		}
	}
	text = b.SetArena(buf)
	switch {
	case g.rest:
		return text, g.reader == nil && g.used == 0 && g.began, nil
	case err == nil:
		return text, false, nil
	case errors.Is(err, io.EOF):
		g.member += g.src.n
		g.began, g.used, g.src, g.reader = true, 0, nil, nil
		return text, true, nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		g.wait(size)
		return text, false, nil
	case g.began && errors.Is(err, gzip.ErrHeader):
		in.log.Warn("what follows the compressed text is ignored", "file", f.path, "offset", g.member)
		g.member = size
		return text, true, nil
	}
	g.src, g.reader = nil, nil
	return text, false, fmt.Errorf("decompress: %w", err)
}

// open makes a decompressor for the current member, if there is none, that
// stands behind the text that was used. An incomplete header is
// io.ErrUnexpectedEOF.
func (g *gzipState) open(f *file, size int64) (err error) {
	if g.reader != nil {
		return nil
	}
	g.src = &countingReader{r: bufio.NewReader(io.NewSectionReader(f.f, g.member, size-g.member))}
	if g.reader, err = gzip.NewReader(g.src); err != nil {
		g.reader = nil
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	g.reader.Multistream(false)
	if _, err = io.CopyN(io.Discard, g.reader, g.used); errors.Is(err, io.EOF) {
		err = fmt.Errorf("the compressed text has become shorter: %w", io.ErrNoProgress)
	}
	return err
}
