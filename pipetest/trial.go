package pipetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/parser"
	"github.com/kagarilog/kagari/regex"
)

// Trial reads lines with a parser and tells how. It has one user at a time.
type Trial struct {
	parser *parser.Parser
	spec   parser.Spec
	regex  *regex.Regexp // nil for parsers of other formats
	stops  *stopper      // made when the first line does not fit
	notes  *noteTaker
	batch  *event.Batch
}

// Reading is what a parser makes of a line.
type Reading struct {
	Line   []byte
	Fits   bool
	Record event.Value // a copy; nil if the line does not fit
	// Time is nanoseconds since the Unix epoch, if HasTime says that the line has
	// one.
	Time    int64
	HasTime bool
	// Groups are the named groups of an expression that took part, by their
	// number.
	Groups []Group
	// Notes are what the parser reports, such as a time that it cannot read.
	Notes []string
	// Stop tells why the line does not fit, nil if that cannot be told.
	Stop *Stop
}

// Group is what a named group of an expression matched: Line[From:To].
type Group struct {
	Name     string
	From, To int
}

// Stop is where a parser stops in a line that does not fit.
type Stop struct {
	At int // offset in the line
	// Fits is the beginning of the expression that still fits the line and Next
	// what follows in it, "" for other formats.
	Fits, Next string
	Reason     string // of other formats
}

// NewTrial makes the trial of a parser, whose log it takes over.
func NewTrial(p *parser.Parser) *Trial {
	t := &Trial{parser: p, spec: p.Spec(), notes: &noteTaker{}, batch: event.NewBatch("")}
	if strings.EqualFold(t.spec.Format, "regex") {
		re, err := regex.Compile(t.spec.Regex)
		if err != nil {
			panic("BUG: the expression of a parser does not compile: " + err.Error())
		}
		t.regex = re
	}
	p.SetLog(slog.New(t.notes))
	return t
}

// Name is the name of the parser.
func (t *Trial) Name() string { return t.spec.Name }

// Means tells whether the line fits and looks as if the parser was meant for it,
// as logfmt takes any words, and whether it has a time.
func (t *Trial) Means(line []byte) (fits, timed bool) {
	if strings.EqualFold(t.spec.Format, "logfmt") && !bytes.ContainsRune(line, '=') {
		return false, false
	}
	e := t.batch.Add(noTime)
	fits = t.parser.Parse(line, e)
	timed = fits && e.Time != noTime
	t.notes.take()
	t.reset()
	return fits, timed
}

// noTime is a time that no line has.
const noTime = math.MinInt64

// Read reads a line.
func (t *Trial) Read(line []byte) Reading {
	r := Reading{Line: line}
	e := t.batch.Add(noTime)
	r.Fits = t.parser.Parse(line, e)
	if r.Fits {
		r.Record = slices.Clone(e.Record())
		r.Time, r.HasTime = e.Time, e.Time != noTime
		r.Groups = t.groups(line)
	}
	r.Notes = t.notes.take()
	t.reset()
	if r.Fits && !r.HasTime && t.spec.TimeFormat != "" && len(r.Notes) == 0 {
		key := t.spec.TimeKey
		if key == "" {
			key = "time"
		}
		r.Notes = append(r.Notes, fmt.Sprintf("no time was read, as there is no text in the field %q", key))
	}
	if !r.Fits {
		r.Stop = t.stop(line)
	}
	return r
}

// WantsTime tells whether the parser reads times.
func (t *Trial) WantsTime() bool { return t.spec.TimeFormat != "" }

func (t *Trial) reset() {
	t.batch.Free()
	t.batch = event.NewBatch("")
}

func (t *Trial) groups(line []byte) []Group {
	if t.regex == nil {
		return nil
	}
	caps, ok := t.regex.Find(line, nil)
	if !ok {
		return nil
	}
	var out []Group
	for i, name := range t.regex.Names() {
		if from, to := caps[2*i], caps[2*i+1]; i > 0 && name != "" && from >= 0 {
			out = append(out, Group{name, from, to})
		}
	}
	return out
}

func (t *Trial) stop(line []byte) *Stop {
	switch {
	case t.regex != nil:
		if t.stops == nil {
			t.stops = newStopper(t.spec.Regex)
		}
		return t.stops.stop(line)
	case strings.EqualFold(t.spec.Format, "json"):
		return jsonStop(line)
	}
	return nil
}

func jsonStop(line []byte) *Stop {
	v, rest, err := event.AppendJSON(nil, line)
	var syntax *event.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return &Stop{At: min(syntax.Offset, len(line)), Reason: syntax.Msg}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Stop{At: len(line), Reason: "the line ends inside of the value"}
	case err != nil:
		return &Stop{Reason: err.Error()}
	case event.Value(v).Kind() != event.KindMap:
		return &Stop{Reason: "it is no object, but a value of type " + typeName(v)}
	case strings.TrimSpace(string(rest)) != "":
		return &Stop{At: len(line) - len(rest), Reason: "something follows the object"}
	}
	return nil
}

// noteTaker is a log of which the messages are kept until they are taken.
type noteTaker struct {
	mu    sync.Mutex
	notes []string
}

var _ slog.Handler = (*noteTaker)(nil)

// Enabled implements slog.Handler.
func (n *noteTaker) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

// Handle implements slog.Handler. What the reader knows is left out.
func (n *noteTaker) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "parser" && a.Key != "line" {
			fmt.Fprintf(&b, "; %s: %v", strings.ReplaceAll(a.Key, "_", " "), a.Value)
		}
		return true
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notes = append(n.notes, b.String())
	return nil
}

// WithAttrs implements slog.Handler.
func (n *noteTaker) WithAttrs([]slog.Attr) slog.Handler { return n }

// WithGroup implements slog.Handler.
func (n *noteTaker) WithGroup(string) slog.Handler { return n }

func (n *noteTaker) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.notes
	n.notes = nil
	return out
}
