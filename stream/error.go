package stream

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Error is a mistake in a statement.
type Error struct {
	Query  string
	Offset int    // of the mistake in Query, in bytes
	Msg    string // what is wrong
	Fix    string // what to do, or empty
}

// Warning is something in a statement that works, but perhaps not as meant.
type Warning Error

// Line and Col say where the mistake is, in characters from 1.
func (e *Error) Line() int { line, _ := place(e.Query, e.Offset); return line }

// Col is the column of the mistake, see Line.
func (e *Error) Col() int { _, col := place(e.Query, e.Offset); return col }

// Error gives the mistake on one line.
func (e *Error) Error() string {
	s := fmt.Sprintf("line %d, column %d: %s", e.Line(), e.Col(), e.Msg)
	if e.Fix != "" {
		s += "; " + e.Fix
	}
	return s
}

// Excerpt returns the line of the mistake and below it a line with a caret.
func (e *Error) Excerpt() string {
	from := strings.LastIndexByte(e.Query[:e.Offset], '\n') + 1
	line, _, _ := strings.Cut(e.Query[from:], "\n")
	var under strings.Builder
	for _, r := range e.Query[from:e.Offset] {
		if r != '\t' {
			r = ' '
		}
		under.WriteRune(r)
	}
	return strings.TrimRight(line, "\r") + "\n" + under.String() + "^"
}

func place(query string, offset int) (line, col int) {
	before := query[:offset]
	line = strings.Count(before, "\n") + 1
	return line, utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
}
