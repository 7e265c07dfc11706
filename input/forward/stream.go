package forward

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/forwardproto"
)

// Sizes of read buffers in bytes. A quiet connection has a small one, so that
// a hundred thousand of them cost little; one that fills it gets a base one,
// which is also what one read takes at most and so about the size of a batch.
const (
	smallBuffer = 1 << 10
	baseBuffer  = 64 << 10
)

var baseBuffers = sync.Pool{New: func() any { b := make([]byte, baseBuffer); return &b }}

// budget limits what all connections together hold in buffers above the base
// size, in bytes.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) take(n int) bool {
	if b.used.Add(int64(n)) > b.limit {
		b.used.Add(int64(-n))
		return false
	}
	return true
}

func (b *budget) give(n int) { b.used.Add(int64(-n)) }

// errBlobEnd says that the bytes that a stream is limited to are used up.
var errBlobEnd = errors.New("end of packed entries")

// stream reads a source through a buffer that grows only when one value needs
// it. It has one owner.
type stream struct {
	src    io.Reader
	buf    []byte
	r, w   int // buf[r:w] has arrived and is not used up
	limit  int // largest buffer, which is the longest value
	budget *budget
	pooled bool // buf belongs to baseBuffers
	idle   bool // little is expected soon: a small buffer will do
	grown  int  // what was taken of the budget

	// left is how many bytes may still be used up before errBlobEnd; negative
	// for no end.
	left int64
	// before is called before each read of the source, which may block.
	before func() error

	scan forwardproto.Scanner
}

// window returns the bytes at hand. They stay where they are until fill.
func (s *stream) window() []byte {
	b := s.buf[s.r:s.w]
	if s.left >= 0 && int64(len(b)) > s.left {
		b = b[:s.left]
	}
	return b
}

// use drops the first n bytes of the window.
func (s *stream) use(n int) {
	s.r += n
	if s.left >= 0 {
		s.left -= int64(n)
	}
}

// fill reads once, moving the window. The error is errBlobEnd at the end of a
// limit, that of the source, or a refusal because one value is too large.
func (s *stream) fill() error {
	if s.left >= 0 && s.left <= int64(s.w-s.r) {
		return errBlobEnd
	}
	if s.before != nil {
		if err := s.before(); err != nil {
			return err
		}
	}
	if err := s.room(); err != nil {
		return err
	}
	// A reader may give nothing a few times, but not for ever.
	for range 100 {
		n, err := s.src.Read(s.buf[s.w:])
		s.w += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// room makes space behind the window: by moving it to the front, with a larger
// buffer, or with the base buffer again after a large one.
func (s *stream) room() error {
	have := s.w - s.r
	base := min(baseBuffer, s.limit)
	switch {
	case have == 0 && s.idle:
		if small := min(smallBuffer, s.limit); len(s.buf) != small {
			s.release()
			s.buf = make([]byte, small)
		}
		s.r, s.w = 0, 0
	case have == 0:
		if len(s.buf) != base {
			s.release()
			s.getBase(base)
		}
		s.r, s.w = 0, 0
	case s.w < len(s.buf):
	case len(s.buf) < base:
		old := s.buf[s.r:s.w]
		s.getBase(base)
		s.r, s.w = 0, copy(s.buf, old)
	case s.r > len(s.buf)/4 || s.r > 0 && len(s.buf) == s.limit:
		s.r, s.w = 0, copy(s.buf, s.buf[s.r:s.w])
	default:
		return s.grow()
	}
	return nil
}

func (s *stream) getBase(size int) {
	p := baseBuffers.Get().(*[]byte)
	s.buf, s.pooled = (*p)[:size], true
	s.r, s.w = 0, 0
}

func (s *stream) grow() error {
	size := min(2*len(s.buf), s.limit)
	if size == len(s.buf) {
		return s.tooLarge()
	}
	extra := size - baseBuffer
	if extra > s.grown {
		if !s.budget.take(extra - s.grown) {
			return &forwardproto.Malformed{Reason: "memory_budget",
				Text: fmt.Sprintf("large messages of all connections together would need more than %d bytes", s.budget.limit)}
		}
		s.grown = extra
	}
	bigger := make([]byte, size)
	n := copy(bigger, s.buf[s.r:s.w])
	s.putBase()
	s.buf, s.r, s.w = bigger, 0, n
	return nil
}

func (s *stream) tooLarge() error {
	return &forwardproto.Malformed{Reason: "too_large",
		Text: fmt.Sprintf("a message or an entry needs more than %d bytes (buffer_max_size)", s.limit)}
}

func (s *stream) putBase() {
	if s.pooled {
		b := s.buf[:baseBuffer]
		baseBuffers.Put(&b)
		s.pooled = false
	}
}

// release gives the buffer back. What was in it is lost.
func (s *stream) release() {
	s.putBase()
	if s.grown > 0 {
		s.budget.give(s.grown)
		s.grown = 0
	}
	s.buf, s.r, s.w = nil, 0, 0
}

// complete reads until the value at the start of the window, of which a part
// is there, is complete, and returns its length.
func (s *stream) complete() (int, error) {
	s.scan.Reset()
	for {
		n, err := s.scan.Scan(s.window())
		if err == nil {
			return n, nil
		}
		if err != io.ErrUnexpectedEOF {
			return 0, malformed(err)
		}
		if need := s.scan.Need(); need > s.limit {
			return 0, s.tooLarge()
		} else if s.left >= 0 && int64(need) > s.left {
			return 0, errTruncated
		}
		if err := s.fill(); err == errBlobEnd {
			return 0, errTruncated
		} else if err != nil {
			return 0, err
		}
	}
}

// value returns the value at the start of the window, which must have begun
// with something, and uses it up. It is valid until the next fill.
func (s *stream) value() (event.Value, error) {
	v, _, err := event.Next(s.window())
	if err == io.ErrUnexpectedEOF {
		n, err := s.complete()
		if err != nil {
			return nil, err
		}
		v = event.Value(s.window()[:n])
	} else if err != nil {
		return nil, malformed(err)
	}
	s.use(len(v))
	return v, nil
}

// skip uses up the rest of a limited stream.
func (s *stream) skip() error {
	for {
		s.use(len(s.window()))
		if err := s.fill(); err == errBlobEnd {
			return nil
		} else if err != nil {
			return err
		}
	}
}

var (
	errMsgpack   = &forwardproto.Malformed{Reason: "invalid_msgpack", Text: "the bytes are no msgpack"}
	errDepth     = &forwardproto.Malformed{Reason: "too_deep", Text: "a value is nested too deeply"}
	errTruncated = &forwardproto.Malformed{Reason: "truncated_entries", Text: "the packed entries end inside an entry"}
)

// malformed translates the errors of event.Next for counters.
func malformed(err error) error {
	switch err {
	case event.ErrMalformed:
		return errMsgpack
	case event.ErrDepth:
		return errDepth
	}
	return err
}
