package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// result is what a row gave.
type result struct {
	Name   string    `json:"name"`
	Title  string    `json:"title"`
	Target float64   `json:"target"` // the largest ratio allowed
	Theirs *measured `json:"fluent_bit,omitempty"`
	Ours   *measured `json:"kagari,omitempty"`
	Ratio  float64   `json:"ratio,omitempty"` // CPU time of ours over theirs
	Status status    `json:"status"`
	Notes  []string  `json:"notes,omitempty"`

	row row
}

type status string

const (
	passed  status = "pass"
	failed  status = "FAIL"
	notYet  status = "not yet" // kagari refuses the configuration
	noRatio status = "no ratio"
)

// measured is the median of all runs of one program.
type measured struct {
	sample
	Runs []sample `json:"runs"`
}

func newMeasured(runs []sample) *measured {
	if len(runs) == 0 {
		return nil
	}
	m := &measured{Runs: runs}
	m.CPU = median(runs, func(s sample) float64 { return s.CPU })
	m.Wall = median(runs, func(s sample) float64 { return s.Wall })
	m.Peak = median(runs, func(s sample) int64 { return s.Peak })
	m.Start = median(runs, func(s sample) float64 { return s.Start })
	for _, s := range runs {
		m.Missing = max(m.Missing, s.Missing)
		m.Duplicates = max(m.Duplicates, s.Duplicates)
	}
	return m
}

// median returns the middle value, the lower of two.
func median[T cmp.Ordered](runs []sample, get func(sample) T) T {
	values := make([]T, len(runs))
	for i, s := range runs {
		values[i] = get(s)
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

// judge sets ratio, status and notes from the measurements. Errors of programs
// were noted before.
func (r *result) judge() {
	if r.Status != "" {
		return
	}
	note := func(format string, args ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, args...)) }
	r.Status = passed
	if m := r.Theirs; m != nil && (m.Missing > 0 || m.Duplicates > 0) {
		note("fluent-bit: %d missing, %d duplicates", m.Missing, m.Duplicates)
	}
	m := r.Ours
	if m == nil {
		r.Status = failed
		return
	}
	if m.Missing > 0 || m.Duplicates > 0 {
		r.Status = failed
		note("kagari: %d missing, %d duplicates", m.Missing, m.Duplicates)
	}
	if m.Peak > maxMemory {
		r.Status = failed
		note("kagari used %s, at most %s are allowed", megabytes(m.Peak), megabytes(maxMemory))
	}
	switch {
	case m.Missing > 0:
		// What it did not do has cost nothing.
	case r.Theirs == nil || r.Theirs.CPU == 0:
		if r.Status == passed {
			r.Status = noRatio
		}
	default:
		r.Ratio = m.CPU / r.Theirs.CPU
		if r.Ratio > r.Target {
			r.Status = failed
		}
	}
}

// report is the outcome of all rows.
type report struct {
	Time     time.Time         `json:"time"`
	System   string            `json:"system"`
	CPUs     int               `json:"cpus"`
	Records  int               `json:"records"`
	Runs     int               `json:"runs"`
	Programs map[string]string `json:"programs"` // name to version
	Size     int64             `json:"binary_bytes"`
	Rows     []*result         `json:"rows"`
	Speeds   []*speed          `json:"regular_expressions,omitempty"`
}

func newReport(records, runs int, programs ...*program) *report {
	r := &report{
		Time: time.Now().UTC().Truncate(time.Second), System: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(),
		Records: records, Runs: runs, Programs: map[string]string{},
	}
	for _, p := range programs {
		if p != nil {
			r.Programs[p.name] = p.version
		}
	}
	return r
}

// failed reports whether a row did not reach its target.
func (r *report) failed() bool {
	return slices.ContainsFunc(r.Rows, func(row *result) bool { return row.Status == failed }) ||
		slices.ContainsFunc(r.Speeds, func(s *speed) bool { return s.Status == failed })
}

// megabytes prints a size in units of 1,048,576 bytes.
func megabytes(n int64) string {
	if n == 0 {
		return "?"
	}
	return fmt.Sprintf("%.0f MB", float64(n)/(1<<20))
}

// table prints the report for people.
func (r *report) table(out io.Writer) error {
	if len(r.Rows) > 0 {
		if err := r.rowTable(out); err != nil {
			return err
		}
	}
	r.footer(out)
	if len(r.Speeds) == 0 {
		return nil
	}
	return speedTable(out, r.Speeds)
}

// rowTable prints the workloads and what is to be said about them.
func (r *report) rowTable(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "workload\tFluent Bit\tmemory\twall\tkagari\tmemory\twall\tratio\ttarget\t\n")
	for _, row := range r.Rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", row.Title, row.Theirs.cells(), row.Ours.cells(), row.ratio(), fraction(row.row), row.Status)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nCPU seconds (user and system) per million records, peak memory, and seconds from the start to the last record; %s of %d records each.\n",
		plural(r.Runs, "run", "medians of %d runs"), r.Records)
	for _, row := range r.Rows {
		for _, n := range row.Notes {
			fmt.Fprintf(out, "%s: %s\n", row.Name, n)
		}
	}
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "one " + one
	}
	return fmt.Sprintf(many, n)
}

// footer prints the figures that are no rows: the size of the binary and the time
// until it listens.
func (r *report) footer(out io.Writer) {
	if r.Size > 0 {
		fmt.Fprintf(out, "binary: %s, at most %s: %s\n", megabytes(r.Size), megabytes(maxBinarySize), verdict(r.Size <= maxBinarySize))
	}
	var theirs, ours float64
	for _, row := range r.Rows {
		if row.Theirs != nil {
			theirs = max(theirs, row.Theirs.Start)
		}
		if row.Ours != nil {
			ours = max(ours, row.Ours.Start)
		}
	}
	if ours > 0 {
		fmt.Fprintf(out, "start until the input accepts, slowest row: %.0f ms, at most %d ms: %s", ours, maxStartMS, verdict(ours <= maxStartMS))
		if theirs > 0 {
			fmt.Fprintf(out, " (Fluent Bit %.0f ms)", theirs)
		}
		fmt.Fprintln(out)
	}
}

func verdict(ok bool) status {
	if ok {
		return passed
	}
	return failed
}

// cells returns the three columns of a program.
func (m *measured) cells() string {
	if m == nil {
		return "-\t-\t-"
	}
	return fmt.Sprintf("%.2f\t%s\t%.1f s", m.CPU, megabytes(m.Peak), m.Wall)
}

func (r *result) ratio() string {
	if r.Ratio == 0 {
		return "-"
	}
	return fmt.Sprintf("1/%.1f", 1/r.Ratio)
}

// fraction prints a target as DESIGN.md does.
func fraction(r row) string { return fmt.Sprintf("%g/%g", r.ours, r.theirs) }

// writeJSON writes the report for programs.
func (r *report) writeJSON(name string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := os.WriteFile(name, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// summary is one line about a row that was just measured.
func (r *result) summary() string {
	var parts []string
	if r.Theirs != nil {
		parts = append(parts, fmt.Sprintf("Fluent Bit %.2f s", r.Theirs.CPU))
	}
	if r.Ours != nil {
		parts = append(parts, fmt.Sprintf("kagari %.2f s", r.Ours.CPU))
	}
	return strings.Join(append(parts, string(r.Status)), ", ")
}
