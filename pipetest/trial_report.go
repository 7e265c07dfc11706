package pipetest

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/kagarilog/kagari/event"
)

// TrialReporter shows readings to people, or as JSON to programs.
type TrialReporter struct {
	W          io.Writer
	Color      bool
	FailedOnly bool
	JSON       bool // one object on a line
	WantsTime  bool // the parser reads times, so that it is said where there is none

	lines, fit, timed int
	misfits           []int // numbers of the first lines that do not fit
}

// maxMisfits is how many lines that do not fit the summary names.
const maxMisfits = 10

// Failed is the number of lines so far that did not fit.
func (r *TrialReporter) Failed() int { return r.lines - r.fit }

// Lines is the number of lines so far.
func (r *TrialReporter) Lines() int { return r.lines }

// Report shows a reading. n is the number of the line.
func (r *TrialReporter) Report(n int, rd Reading) {
	r.lines++
	if rd.HasTime {
		r.timed++
	}
	if rd.Fits {
		if r.fit++; r.FailedOnly && len(rd.Notes) == 0 {
			return
		}
	} else if len(r.misfits) < maxMisfits {
		r.misfits = append(r.misfits, n)
	}
	if r.JSON {
		r.json(n, rd)
		return
	}
	number := r.paint(dim, fmt.Sprintf("%4d", n))
	if !rd.Fits {
		fmt.Fprintf(r.W, "%s %s %s\n", number, r.paint(red, "no match"), clean(string(rd.Line)))
		r.stop(rd)
	} else {
		when := ""
		if rd.HasTime {
			when = " " + formatTime(rd.Time)
		}
		fmt.Fprintf(r.W, "%s %s%s\n", number, r.paint(green, "match"), r.paint(bold, when))
		fmt.Fprintf(r.W, "       %s\n", r.overlay(rd))
		r.fields(rd)
	}
	for _, note := range rd.Notes {
		fmt.Fprintf(r.W, "       %s %s\n", r.paint(yellow, "note:"), clean(note))
	}
}

func (r *TrialReporter) paint(color, text string) string {
	if !r.Color || text == "" {
		return text
	}
	return color + text + off
}

// groupColors are the colours of fields, in turn.
var groupColors = []string{"\x1b[36m", "\x1b[33m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[91m"}

// colors gives each name of a group a colour.
func colors(groups []Group) map[string]string {
	out := map[string]string{}
	for _, g := range groups {
		if out[g.Name] == "" {
			out[g.Name] = groupColors[len(out)%len(groupColors)]
		}
	}
	return out
}

// overlay is the line with its fields in colours; what is in no field is dim.
func (r *TrialReporter) overlay(rd Reading) string {
	if !r.Color || len(rd.Groups) == 0 {
		return clean(string(rd.Line))
	}
	byName := colors(rd.Groups)
	at := make([]string, len(rd.Line))
	for _, g := range rd.Groups { // inner groups come later
		for i := g.From; i < g.To; i++ {
			at[i] = byName[g.Name]
		}
	}
	var b strings.Builder
	for i := 0; i < len(at); {
		j := i
		for j < len(at) && at[j] == at[i] {
			j++
		}
		color := at[i]
		if color == "" {
			color = dim
		}
		b.WriteString(r.paint(color, clean(string(rd.Line[i:j]))))
		i = j
	}
	return b.String()
}

// fields lists the fields below each other with their types.
func (r *TrialReporter) fields(rd Reading) {
	byName := colors(rd.Groups)
	fields := leaves(rd.Record)
	width := 0
	for _, f := range fields {
		width = max(width, min(utf8.RuneCountInString(f.path), 32))
	}
	for _, f := range fields {
		name := fmt.Sprintf("%-*s", width, clean(f.path))
		fmt.Fprintf(r.W, "       %s  %-7s  %s\n", r.paint(byName[f.path], name), typeName(f.val), clean(show(f.val)))
	}
}

// maxShown is how much of an expression is shown.
const maxShown = 60

func (r *TrialReporter) stop(rd Reading) {
	s := rd.Stop
	if s == nil {
		return
	}
	col := utf8.RuneCount(rd.Line[:s.At])
	under := strings.Repeat("~", col) + "^"
	fmt.Fprintf(r.W, "              %s\n", r.paint(red, under))
	switch {
	case s.Reason != "":
		fmt.Fprintf(r.W, "       at column %d: %s\n", col+1, clean(s.Reason))
	case s.Fits == "" || s.Fits == "^" || s.Fits == `\A`:
		fmt.Fprintf(r.W, "       not even the beginning of the expression fits: %s\n", clean(head(s.Fits+s.Next)))
	default:
		fmt.Fprintf(r.W, "       up to column %d it fits: %s\n", col, clean(foot(s.Fits)))
		fmt.Fprintf(r.W, "       then it does not:%s%s\n", strings.Repeat(" ", len(fmt.Sprint(col))+len("up to column  it fits: ")-len("then it does not:")), r.paint(red, clean(head(s.Next))))
	}
}

// head is the beginning of a long text, and foot its end.
func head(s string) string {
	if runes := []rune(s); len(runes) > maxShown {
		return string(runes[:maxShown]) + "…"
	}
	return s
}

func foot(s string) string {
	if runes := []rune(s); len(runes) > maxShown {
		return "…" + string(runes[len(runes)-maxShown:])
	}
	return s
}

// Summary shows how many lines fit.
func (r *TrialReporter) Summary(name string) {
	if r.JSON {
		return
	}
	color := green
	if r.Failed() > 0 {
		color = red
	}
	if r.lines > 0 && (!r.FailedOnly || r.Failed() > 0) {
		fmt.Fprintln(r.W)
	}
	what := "lines"
	if r.lines == 1 {
		what = "line"
	}
	fmt.Fprintln(r.W, r.paint(color, fmt.Sprintf("%s fits %d of %d %s", name, r.fit, r.lines, what)))
	if r.WantsTime && r.timed < r.fit {
		fmt.Fprintf(r.W, "no time was read from %d of them\n", r.fit-r.timed)
	}
	if n := r.Failed(); n > 0 {
		var numbers []string
		for _, m := range r.misfits {
			numbers = append(numbers, fmt.Sprint(m))
		}
		more := ""
		if n > len(r.misfits) {
			more = fmt.Sprintf(" and %d more", n-len(r.misfits))
		}
		fmt.Fprintf(r.W, "not these: %s%s\n", strings.Join(numbers, ", "), more)
	}
}

type jsonReading struct {
	Line    int             `json:"line"`
	Match   bool            `json:"match"`
	Time    string          `json:"time,omitempty"`
	Record  json.RawMessage `json:"record,omitempty"`
	Groups  []jsonGroup     `json:"groups,omitempty"`
	Notes   []string        `json:"notes,omitempty"`
	Text    string          `json:"text"`
	Stopped *jsonStopped    `json:"stopped,omitempty"`
}

type jsonGroup struct {
	Name string `json:"name"`
	From int    `json:"from"`
	To   int    `json:"to"`
}

type jsonStopped struct {
	At     int    `json:"at"`
	Fits   string `json:"fits,omitempty"`
	Next   string `json:"next,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func (r *TrialReporter) json(n int, rd Reading) {
	out := jsonReading{Line: n, Match: rd.Fits, Notes: rd.Notes, Text: strings.ToValidUTF8(string(rd.Line), "\ufffd")}
	if rd.HasTime {
		out.Time = formatTime(rd.Time)
	}
	if rd.Record != nil {
		out.Record = event.AppendValueJSON(nil, rd.Record, event.JSONOptions{})
	}
	for _, g := range rd.Groups {
		out.Groups = append(out.Groups, jsonGroup(g))
	}
	if s := rd.Stop; s != nil {
		out.Stopped = &jsonStopped{s.At, s.Fits, s.Next, s.Reason}
	}
	enc := json.NewEncoder(r.W)
	enc.SetEscapeHTML(false)
	// Nothing in it can fail but the writer, which the caller looks at.
	_ = enc.Encode(out)
}

// JoinReporter shows the records that lines were joined to.
type JoinReporter struct {
	W     io.Writer
	Color bool
	JSON  bool

	records, joined int
}

type jsonJoined struct {
	First  int             `json:"first"`
	Last   int             `json:"last"`
	Time   string          `json:"time,omitempty"`
	Record json.RawMessage `json:"record"`
}

// Report shows records.
func (r *JoinReporter) Report(all []Joined) {
	for _, j := range all {
		r.records++
		if j.Last > j.First {
			r.joined++
		}
		when := ""
		if j.HasTime {
			when = formatTime(j.Time)
		}
		if r.JSON {
			enc := json.NewEncoder(r.W)
			enc.SetEscapeHTML(false)
			_ = enc.Encode(jsonJoined{j.First, j.Last, when, event.AppendValueJSON(nil, j.Record, event.JSONOptions{})})
			continue
		}
		tr := &TrialReporter{W: r.W, Color: r.Color}
		lines := fmt.Sprintf("line %d", j.First)
		if j.Last > j.First {
			lines = fmt.Sprintf("lines %d to %d", j.First, j.Last)
		}
		if when != "" {
			when = " " + when
		}
		fmt.Fprintf(r.W, "%s%s\n", tr.paint(green, lines), tr.paint(bold, when))
		for _, f := range leaves(j.Record) {
			s, ok := f.val.Str()
			if !ok || !strings.Contains(strings.TrimSuffix(string(s), "\n"), "\n") {
				fmt.Fprintf(r.W, "       %s  %s\n", clean(f.path), clean(show(f.val)))
				continue
			}
			fmt.Fprintf(r.W, "       %s\n", clean(f.path))
			for part := range strings.Lines(string(s)) {
				fmt.Fprintf(r.W, "         %s %s\n", tr.paint(dim, "|"), clean(strings.ReplaceAll(strings.TrimRight(part, "\n"), "\t", "    ")))
			}
		}
	}
}

// Summary shows how many records there are of how many lines.
func (r *JoinReporter) Summary(lines int) {
	if r.JSON {
		return
	}
	tr := &TrialReporter{Color: r.Color}
	fmt.Fprintf(r.W, "\n%s\n", tr.paint(green, fmt.Sprintf("%d lines became %s; %d of more than one line", lines, count(r.records), r.joined)))
}
