package rawinput

import (
	"bytes"
	"errors"
	"io"

	"github.com/kagarilog/kagari/event"
)

// Values finds JSON values in a stream: after each other, with white space or
// commas between them or not. What it has looked at in an unfinished value it
// does not look at again, but for a fixed number of times. The zero value is
// at the start of a stream.
type Values struct {
	seen  int   // bytes of the unfinished value that were looked at
	try   int   // size at which it is parsed in any case, 0 for any
	shape shape // of the seen bytes
}

// wordMost is the longest number or word outside of any object that is waited
// for. It makes no record anyway.
const wordMost = 4096

// Next returns the first value of data, which lives in the arena of b, and how
// many bytes it takes with what is before it. The rest of data must be given
// again, with more behind it if there is more.
//
// The error is [io.ErrUnexpectedEOF] when there is no complete value. For any
// other error used is how much is to be skipped: everything up to the end of
// the line in which the JSON is broken.
func (s *Values) Next(b *event.Batch, data []byte) (v event.Value, used int, err error) {
	for used < len(data) && Separates(data[used]) {
		used++
	}
	if used > 0 {
		s.Forget()
	}
	data = data[used:]
	if len(data) == 0 {
		return nil, used, io.ErrUnexpectedEOF
	}
	// Most values are complete. One that is not is parsed again when it looks
	// complete and, to notice early that it is none, whenever it has become
	// twice as long.
	if s.try > 0 {
		complete := s.shape.end(data[s.seen:])
		s.seen = len(data)
		if !complete && len(data) < s.try {
			return nil, used, io.ErrUnexpectedEOF
		}
	}
	dst := b.Arena(min(len(data), 1<<20) + 8)
	dst, rest, err := event.AppendLooseJSON(dst, data)
	if errors.Is(err, io.ErrUnexpectedEOF) && !(isWord(data[0]) && len(data) > wordMost) {
		if s.try == 0 {
			s.shape.end(data)
			s.seen = len(data)
		}
		s.try = 2 * len(data)
		return nil, used, err
	}
	s.Forget()
	if err == nil {
		return b.SetArena(dst), used + len(data) - len(rest), nil
	}
	at := 0
	var syntax *event.SyntaxError
	if errors.As(err, &syntax) {
		at = min(max(syntax.Offset, 0), len(data))
	}
	if n := bytes.IndexByte(data[at:], '\n'); n >= 0 {
		return nil, used + at + n + 1, err
	}
	return nil, used + len(data), err
}

// Forget begins a new value.
func (s *Values) Forget() { *s = Values{} }

// isWord tells whether a value that begins with c has no brackets or quotes
// around it.
func isWord(c byte) bool { return c != '{' && c != '[' && c != '"' }

// Separates tells whether c may stand between JSON values.
func Separates(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ','
}

// shape follows brackets and quotes to tell where a JSON value ends, without
// understanding it. The zero value is at the start of a value.
type shape struct {
	depth   int
	text    bool // inside of quotes
	escaped bool // behind a backslash inside of quotes
}

// end looks at more bytes and tells whether the value ends in them. Numbers
// and words end at once: only a parser can tell where.
func (s *shape) end(data []byte) bool {
	for i := 0; i < len(data); i++ {
		c := data[i]
		if s.text {
			switch {
			case s.escaped:
				s.escaped = false
			case c == '\\':
				s.escaped = true
			case c == '"':
				s.text = false
				if s.depth == 0 {
					return true
				}
			default:
				// Most bytes are text: on to what matters.
				n := bytes.IndexAny(data[i:], `"\`)
				if n < 0 {
					return false
				}
				i += n - 1
			}
			continue
		}
		switch c {
		case '"':
			s.text = true
		case '{', '[':
			s.depth++
		case '}', ']':
			if s.depth--; s.depth <= 0 {
				return true
			}
		}
		if s.depth == 0 && !s.text {
			return true
		}
	}
	return false
}
