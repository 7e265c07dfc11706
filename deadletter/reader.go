package deadletter

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Reader reads the letters of a file one after the other. Lines that cannot be
// read are reported and passed over.
type Reader struct {
	in     *bufio.Reader
	buf    []byte
	offset int64

	letter *Letter
	line   int
	bad    error
	torn   bool
	err    error
}

// NewReader returns a reader of the letters in r.
func NewReader(r io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(r, 64<<10)} }

// Next reads the next line and tells whether there is one. Empty lines are
// passed over.
func (r *Reader) Next() bool {
	for {
		r.letter, r.bad = nil, nil
		text, err := r.readLine()
		if err != nil {
			if err != io.EOF {
				r.err = fmt.Errorf("read letters: %w", err)
			}
			return false
		}
		if text = bytes.TrimSpace(text); len(text) == 0 && r.bad == nil {
			continue
		}
		if r.bad == nil {
			r.letter, r.bad = Parse(text)
		}
		if r.letter != nil && !goodID(r.letter.ID) {
			r.letter.ID = fmt.Sprintf("line-%d", r.line) // Written by hand.
		}
		return true
	}
}

// goodID tells whether an id can be remembered in a line.
func goodID(id string) bool {
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return id != "" && len(id) <= 200
}

// readLine returns the next whole line without its newline. A line without one
// is what a crash has left, or is being written; it counts as the end.
func (r *Reader) readLine() ([]byte, error) {
	r.buf = r.buf[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		r.offset += int64(len(part))
		if r.bad == nil {
			r.buf = append(r.buf, part...)
		}
		if len(r.buf) > MaxLine {
			r.bad, r.buf = fmt.Errorf("read letter: the line is longer than %d bytes", MaxLine), r.buf[:0]
		}
		switch {
		case err == nil:
			r.line++
			return r.buf, nil
		case errors.Is(err, bufio.ErrBufferFull):
		default:
			if err == io.EOF {
				r.torn = len(r.buf) > 0 || r.bad != nil
				r.bad = nil
			}
			return nil, err
		}
	}
}

// Letter returns the letter of the line that Next has read, or why it is none.
func (r *Reader) Letter() (*Letter, error) { return r.letter, r.bad }

// Line is the number of that line, from 1.
func (r *Reader) Line() int { return r.line }

// Offset is how many bytes were read, for progress.
func (r *Reader) Offset() int64 { return r.offset }

// Torn tells, after the end, whether the file ends inside a line.
func (r *Reader) Torn() bool { return r.torn }

// Err returns the error of reading the file, if there was one.
func (r *Reader) Err() error { return r.err }
