package option

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// KeyError is an error of New that is about the value of one option, so that it
// can be shown where that stands. Make it with At.
type KeyError struct {
	Key  string // the option
	Text string // its value if the option may be given more than once, or empty
	Err  error
}

// At says which option an error of New is about. It is nil if err is nil.
func At(key string, err error) error { return AtText(key, "", err) }

// AtText is At for an option that may be given more than once; text is the value
// that err is about.
func AtText(key, text string, err error) error {
	if err == nil {
		return nil
	}
	return &KeyError{key, text, err}
}

func (e *KeyError) Error() string { return e.Err.Error() }
func (e *KeyError) Unwrap() error { return e.Err }

// Placed is an error that knows its place in a text, such as a regular
// expression. The text is an option's value or a part of it, or a file that an
// option names.
type Placed interface {
	error
	// Place returns the text and the offset of the mistake in bytes, which is at
	// most the length of the text.
	Place() (text string, offset int)
}

// Within says that err is about the place at offset in the text.
func Within(text string, offset int, err error) error { return &withinError{text, offset, err} }

type withinError struct {
	text   string
	offset int
	err    error
}

func (e *withinError) Error() string        { return e.err.Error() }
func (e *withinError) Unwrap() error        { return e.err }
func (e *withinError) Place() (string, int) { return e.text, e.offset }

// PlaceIn notes on p the place in a text that err knows, if it does.
func (p *Problem) PlaceIn(err error) {
	var placed Placed
	if errors.As(err, &placed) {
		p.Within, p.Offset = placed.Place()
		p.Offset = min(max(p.Offset, 0), len(p.Within))
	}
}

// FileError is a mistake in a file that an option names and that is no
// configuration, such as a script.
type FileError struct {
	Path   string
	Text   string // of the file
	Offset int    // of the mistake in Text, in bytes
	Err    error
}

func (e *FileError) Error() string { return e.Err.Error() }
func (e *FileError) Unwrap() error { return e.Err }

// Pos is the place of the mistake.
func (e *FileError) Pos() Pos {
	before := e.Text[:e.Offset]
	from := strings.LastIndexByte(before, '\n') + 1
	return Pos{File: e.Path, Line: strings.Count(before, "\n") + 1, Col: utf8.RuneCountInString(before[from:]) + 1}
}

// Line is the text of the line of the mistake.
func (e *FileError) Line() string {
	from := strings.LastIndexByte(e.Text[:e.Offset], '\n') + 1
	line, _, _ := strings.Cut(e.Text[from:], "\n")
	return strings.TrimSuffix(line, "\r")
}
