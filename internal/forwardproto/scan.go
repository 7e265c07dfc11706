package forwardproto

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/kagarilog/kagari/event"
)

// Scanner finds the end of a value that arrives in pieces. Unlike event.Next,
// which starts over, it looks at every byte once, so that a peer who sends a
// large value byte by byte costs no more than one who sends it at once. The
// zero Scanner is ready; Reset makes it so again.
type Scanner struct {
	off     int      // behind what was looked at; may be behind what has arrived
	open    []uint64 // values still missing in each open array and map
	started bool
}

// Reset forgets the value.
func (s *Scanner) Reset() { s.off, s.open, s.started = 0, s.open[:0], false }

// Scan goes on through b, which holds the value from its start on and more of
// it with each call, and returns the value's length. The error is
// io.ErrUnexpectedEOF while more bytes are missing; otherwise event.ErrMalformed
// or event.ErrDepth, by the same rules as event.Next.
func (s *Scanner) Scan(b []byte) (length int, err error) {
	if !s.started {
		s.started = true
		s.open = append(s.open[:0], 1)
	}
	for {
		for len(s.open) > 0 && s.open[len(s.open)-1] == 0 {
			s.open = s.open[:len(s.open)-1]
		}
		if len(s.open) == 0 {
			break
		}
		if s.off >= len(b) {
			return 0, io.ErrUnexpectedEOF
		}
		size, inside, err := head(b[s.off:])
		if err != nil {
			return 0, err
		}
		s.off += size
		s.open[len(s.open)-1]--
		if inside >= 0 {
			// One more than event.MaxDepth: the value itself is the first.
			if len(s.open) > event.MaxDepth {
				return 0, event.ErrDepth
			}
			s.open = append(s.open, uint64(inside))
		}
	}
	if s.off > len(b) {
		return 0, io.ErrUnexpectedEOF
	}
	return s.off, nil
}

// Need is the least number of bytes that the whole value can have, by what it
// claims so far.
func (s *Scanner) Need() int {
	need := uint64(s.off)
	for _, n := range s.open {
		need += n // each count is below 2^33
	}
	return int(min(need, math.MaxInt))
}

// head returns the size of the value at the start of b without the values
// inside it, of which inside is the number, or -1 where there can be none.
func head(b []byte) (size, inside int, err error) {
	c := b[0]
	// length reads a length of width bytes behind the first.
	length := func(width int) (n int, ok bool) {
		if len(b) < 1+width {
			return 0, false
		}
		switch width {
		case 1:
			return int(b[1]), true
		case 2:
			return int(binary.BigEndian.Uint16(b[1:])), true
		}
		return int(binary.BigEndian.Uint32(b[1:])), true
	}
	switch {
	case c < 0x80, c >= 0xe0, c == 0x80, c == 0x90:
		return 1, -1, nil
	case c < 0x90:
		return 1, 2 * int(c&0x0f), nil
	case c < 0xa0:
		return 1, int(c & 0x0f), nil
	case c < 0xc0:
		return 1 + int(c&0x1f), -1, nil
	}
	switch c {
	case 0xc0, 0xc2, 0xc3:
		return 1, -1, nil
	case 0xca:
		return 5, -1, nil
	case 0xcb:
		return 9, -1, nil
	case 0xcc, 0xcd, 0xce, 0xcf:
		return 1 + 1<<(c-0xcc), -1, nil
	case 0xd0, 0xd1, 0xd2, 0xd3:
		return 1 + 1<<(c-0xd0), -1, nil
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return 2 + 1<<(c-0xd4), -1, nil
	case 0xc4, 0xc5, 0xc6, 0xd9, 0xda, 0xdb, 0xc7, 0xc8, 0xc9:
		width := 1
		extra := 0
		switch {
		case c >= 0xd9:
			width <<= c - 0xd9
		case c >= 0xc7:
			width <<= c - 0xc7
			extra = 1 // the type
		default:
			width <<= c - 0xc4
		}
		n, ok := length(width)
		if !ok {
			return 0, 0, io.ErrUnexpectedEOF
		}
		return 1 + width + extra + n, -1, nil
	case 0xdc, 0xdd, 0xde, 0xdf:
		width := 2
		if c&1 == 1 {
			width = 4
		}
		n, ok := length(width)
		if !ok {
			return 0, 0, io.ErrUnexpectedEOF
		}
		if c >= 0xde {
			n *= 2
		}
		return 1 + width, n, nil
	}
	return 0, 0, event.ErrMalformed
}
