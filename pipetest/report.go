package pipetest

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/option"
)

// Reporter shows results to people.
type Reporter struct {
	W       io.Writer
	Color   bool
	Verbose bool // what arrived and what the log says also of tests that pass

	file   string
	said   string // the problems of the configuration that were shown last
	passed int
	failed int
	time   time.Duration
}

// The colours of a terminal.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	dim    = "\x1b[2m"
	bold   = "\x1b[1m"
	off    = "\x1b[0m"
)

func (r *Reporter) paint(color, text string) string {
	if !r.Color {
		return text
	}
	return color + text + off
}

// Report shows the result of a test of the file.
func (r *Reporter) Report(f *File, res *Result) {
	if r.file != f.Path {
		if r.file != "" {
			fmt.Fprintln(r.W)
		}
		r.file = f.Path
		fmt.Fprintln(r.W, r.paint(bold, f.Path))
	}
	r.time += res.Duration
	took := r.paint(dim, "("+duration(res.Duration)+")")
	if res.Passed() {
		r.passed++
		fmt.Fprintf(r.W, "  %s %s %s\n", r.paint(green, "ok"), clean(res.Test.Name), took)
		r.notes(res)
		if r.Verbose {
			r.details(res)
		}
		return
	}
	r.failed++
	fmt.Fprintf(r.W, "  %s %s %s\n", r.paint(red, "FAILED"), clean(res.Test.Name), took)
	if res.Err != nil {
		fmt.Fprintf(r.W, "    %s\n", clean(message(res)))
		if res.Problems.HasErrors() {
			var b strings.Builder
			config.Render(&b, res.Problems, res.Sources, r.Color)
			if b.String() == r.said {
				fmt.Fprintln(r.W, "      for the same reason as above")
			} else {
				r.indented(b.String())
			}
			r.said = b.String()
		}
	}
	r.notes(res)
	for _, fail := range res.Failures {
		fmt.Fprintf(r.W, "    %s %s\n", clean(fail.String()), r.paint(dim, fmt.Sprintf("(line %d)", fail.Pos.Line)))
		r.lines(fail.Lines)
	}
	r.details(res)
}

func (r *Reporter) notes(res *Result) {
	for _, n := range res.Notes {
		fmt.Fprintf(r.W, "    %s %s\n", r.paint(yellow, "note:"), clean(n))
	}
}

// message is why a test could not be run. The file is known to the reader.
func message(res *Result) string {
	var placed *placedError
	if errors.As(res.Err, &placed) {
		return fmt.Sprintf("%v (line %d)", placed.err, placed.pos.Line)
	}
	return res.Err.Error()
}

func (r *Reporter) indented(text string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			line = "      " + line
		}
		fmt.Fprintln(r.W, line)
	}
}

// lines shows a difference with the values below each other.
func (r *Reporter) lines(lines []Line) {
	width := 0
	for _, l := range lines {
		width = max(width, min(utf8.RuneCountInString(l.Path), 32))
	}
	for _, l := range lines {
		text := clean(l.Text)
		if l.Path != "" {
			text = fmt.Sprintf("%-*s  %s", width, clean(l.Path), text)
		}
		switch l.Op {
		case Expected:
			fmt.Fprintf(r.W, "      %s\n", r.paint(red, "- "+text))
		case Actual:
			fmt.Fprintf(r.W, "      %s\n", r.paint(green, "+ "+text))
		case Heading:
			fmt.Fprintf(r.W, "        %s\n", r.paint(dim, "… "+text))
		default:
			fmt.Fprintf(r.W, "        %s\n", text)
		}
	}
}

// maxLog is how many lines of the log are shown of a test that failed.
const maxLog = 10

// details shows what may explain a result: warnings, and if asked for what has
// arrived.
func (r *Reporter) details(res *Result) {
	if !res.Problems.HasErrors() {
		for _, p := range res.Problems {
			if p.Severity == option.Warning {
				fmt.Fprintf(r.W, "    %s %s\n", r.paint(yellow, "warning:"), clean(p.Error()))
			}
		}
	}
	for _, h := range res.Hints {
		fmt.Fprintf(r.W, "    %s %s\n", r.paint(yellow, "hint:"), clean(h))
	}
	if res.Log != "" {
		lines := strings.Split(res.Log, "\n")
		for i, line := range lines {
			if i == maxLog && !r.Verbose {
				fmt.Fprintf(r.W, "    %s\n", r.paint(dim, fmt.Sprintf("… and %d lines of the log; -v shows them", len(lines)-i)))
				break
			}
			fmt.Fprintf(r.W, "    %s %s\n", r.paint(yellow, "log:"), clean(line))
		}
	}
	if !r.Verbose {
		return
	}
	for _, o := range res.Outputs {
		name := o.ID
		if o.ID != o.Name {
			name += " (" + o.Name + ")"
		}
		fmt.Fprintf(r.W, "    %s got %s\n", clean(name), count(len(o.Events)))
		for _, ev := range o.Events {
			meta := ""
			if len(ev.Meta) > 1 {
				meta = " " + show(ev.Meta)
			}
			fmt.Fprintf(r.W, "      %s %s\n", r.paint(dim, clean(ev.Tag+" "+formatTime(ev.Time)+meta)), clean(show(ev.Record)))
		}
	}
}

// Refused shows a test file that cannot be read.
func (r *Reporter) Refused(path string, src *config.Sources, ps option.Problems) {
	if r.file != "" {
		fmt.Fprintln(r.W)
	}
	r.file = path
	r.failed++
	fmt.Fprintln(r.W, r.paint(bold, path))
	fmt.Fprintf(r.W, "  %s the test file is refused\n", r.paint(red, "FAILED"))
	var b strings.Builder
	config.Render(&b, ps, src, r.Color)
	r.indented(b.String())
}

// Summary shows how many tests there were.
func (r *Reporter) Summary() {
	all := r.passed + r.failed
	took := r.paint(dim, "("+duration(r.time)+")")
	what := "tests"
	if all == 1 {
		what = "test"
	}
	if r.failed > 0 {
		fmt.Fprintf(r.W, "\n%s %s\n", r.paint(red, fmt.Sprintf("%d of %d %s failed", r.failed, all, what)), took)
		return
	}
	fmt.Fprintf(r.W, "\n%s %s\n", r.paint(green, fmt.Sprintf("%d %s passed", all, what)), took)
}

func duration(d time.Duration) string {
	if d >= time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// clean replaces what would disturb a terminal, each character by one other.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if unicode.In(r, unicode.Cc, unicode.Cf) {
			return '·'
		}
		return r
	}, s)
}
