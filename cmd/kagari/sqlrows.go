package main

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
)

// rowPrinter prints results.
type rowPrinter interface {
	row(rec event.Value) error
	end() error
}

// newRowPrinter makes the printer of a format. columns is nil if only the
// records tell them.
func newRowPrinter(format string, w *bufio.Writer, columns []string) (rowPrinter, error) {
	switch format {
	case "json":
		return &jsonRows{w: w}, nil
	case "table":
		return &tableRows{grid: grid{columns: columns, fixed: columns != nil}, w: w}, nil
	case "csv":
		return &csvRows{grid: grid{columns: columns, fixed: columns != nil}, w: csv.NewWriter(w)}, nil
	}
	err := fmt.Errorf("there is no output format %q; there are json, table and csv", format)
	if hint := option.DidYouMean(format, []string{"json", "table", "csv"}); hint != "" {
		err = fmt.Errorf("%w; %s", err, hint)
	}
	return nil, err
}

// jsonRows prints one JSON object on each line.
type jsonRows struct {
	w    *bufio.Writer
	line []byte
}

func (j *jsonRows) row(rec event.Value) error {
	j.line = append(event.AppendValueJSON(j.line[:0], rec, event.JSONOptions{}), '\n')
	_, err := j.w.Write(j.line)
	return err
}

func (j *jsonRows) end() error { return nil }

// grid holds rows back until their columns are known. With SELECT * these are
// the keys of the first rows.
type grid struct {
	columns []string
	fixed   bool
	held    [][]string
	lost    map[string]bool // keys that came too late to be columns
}

// heldRows is how many rows are looked at for their keys and widths.
const heldRows = 1000

// cells spreads a record over the columns.
func (g *grid) cells(rec event.Value) []string {
	cells := make([]string, len(g.columns))
	for k, v := range rec.Pairs() {
		name, _ := k.Str()
		i := slices.Index(g.columns, string(name))
		if i < 0 {
			if g.fixed {
				if g.lost == nil {
					g.lost = map[string]bool{}
				}
				if len(g.lost) <= namedKeys {
					g.lost[string(name)] = true
				}
				continue
			}
			i = len(g.columns)
			g.columns, cells = append(g.columns, string(name)), append(cells, "")
		}
		cells[i] = cellText(v)
	}
	return cells
}

// cellText is a value as people read it: texts without quotes, nothing for null.
func cellText(v event.Value) string {
	switch v.Kind() {
	case event.KindNil:
		return ""
	case event.KindString:
		s, _ := v.Str()
		return string(s)
	}
	return string(event.AppendValueJSON(nil, v, event.JSONOptions{}))
}

// late says which keys no column was left for.
func (g *grid) late() error {
	if len(g.lost) == 0 {
		return nil
	}
	names, more := sortedKeys(g.lost), ""
	if len(names) > namedKeys {
		names, more = names[:namedKeys], " and others"
	}
	return fmt.Errorf("the keys %s%s came after the first %d records and have no column; name the columns instead of *, or print json",
		strings.Join(names, ", "), more, heldRows)
}

// namedKeys is how many keys without a column are named.
const namedKeys = 10

func sortedKeys(m map[string]bool) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// csvRows prints CSV with a header line (RFC 4180).
type csvRows struct {
	grid
	w       *csv.Writer
	started bool
}

func (c *csvRows) row(rec event.Value) error {
	cells := c.cells(rec)
	if !c.fixed {
		if c.held = append(c.held, cells); len(c.held) < heldRows {
			return nil
		}
		return c.start()
	}
	if err := c.start(); err != nil {
		return err
	}
	return c.w.Write(cells)
}

// start prints the header and what was held back.
func (c *csvRows) start() error {
	if c.started {
		return nil
	}
	c.started, c.fixed = true, true
	if len(c.columns) == 0 {
		return nil
	}
	if err := c.w.Write(c.columns); err != nil {
		return err
	}
	for _, cells := range c.held {
		if err := c.w.Write(append(cells, make([]string, len(c.columns)-len(cells))...)); err != nil {
			return err
		}
	}
	c.held = nil
	return nil
}

func (c *csvRows) end() error {
	if err := c.start(); err != nil {
		return err
	}
	if c.w.Flush(); c.w.Error() != nil {
		return c.w.Error()
	}
	return c.late()
}

// tableRows prints columns of equal width. The first rows tell the widths.
type tableRows struct {
	grid
	w       io.Writer
	widths  []int
	started bool
}

// widestCell is the width that a cell is padded to at most.
const widestCell = 60

func (t *tableRows) row(rec event.Value) error {
	cells := t.cells(rec)
	for i := range cells {
		cells[i] = oneLine(cells[i])
	}
	if !t.started {
		if t.held = append(t.held, cells); len(t.held) < heldRows {
			return nil
		}
		return t.start()
	}
	return t.line(cells)
}

func (t *tableRows) start() error {
	if t.started {
		return nil
	}
	t.started, t.fixed = true, true
	t.widths = make([]int, len(t.columns))
	for i, c := range t.columns {
		t.widths[i] = utf8.RuneCountInString(c)
	}
	for _, cells := range t.held {
		for i, c := range cells {
			t.widths[i] = min(max(t.widths[i], utf8.RuneCountInString(c)), widestCell)
		}
	}
	rule := make([]string, len(t.columns))
	for i, w := range t.widths {
		rule[i] = strings.Repeat("-", w)
	}
	rows := append([][]string{t.columns, rule}, t.held...)
	t.held = nil
	for _, cells := range rows {
		if err := t.line(cells); err != nil {
			return err
		}
	}
	return nil
}

func (t *tableRows) line(cells []string) error {
	var b strings.Builder
	for i, c := range cells {
		b.WriteString(c)
		if i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", max(t.widths[i]-utf8.RuneCountInString(c), 0)+2))
		}
	}
	_, err := io.WriteString(t.w, strings.TrimRight(b.String(), " ")+"\n")
	return err
}

func (t *tableRows) end() error {
	if len(t.columns) == 0 {
		return nil
	}
	if err := t.start(); err != nil {
		return err
	}
	return t.late()
}
