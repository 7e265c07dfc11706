package view

import "strings"

// cell is a text in a table.
type cell struct {
	text  string
	alarm bool // something is wrong
}

// column is one column of a table. The first takes what space is left.
type column struct {
	title string
	left  bool // texts, not numbers
	// drop says which columns are left out first where there is little space; 0
	// is never left out.
	drop  int
	cells []cell
}

// table has the same number of cells in every column. Notes stand below a row.
type table struct {
	columns []column
	notes   map[int]cell
}

func newTable(columns ...column) *table {
	return &table{columns: columns, notes: map[int]cell{}}
}

// row adds a cell to each column.
func (t *table) row(cells ...cell) {
	for i, c := range cells {
		c.text = clean(c.text)
		t.columns[i].cells = append(t.columns[i].cells, c)
	}
}

// note adds a line below the last row.
func (t *table) note(c cell) {
	c.text = clean(c.text)
	t.notes[t.rows()-1] = c
}

func (t *table) rows() int { return len(t.columns[0].cells) }

// width is how much the column needs.
func (c *column) width() int {
	n := columns(c.title)
	for _, cell := range c.cells {
		n = max(n, columns(cell.text))
	}
	return n
}

const (
	leastName  = 16 // columns that a name keeps while others can be left out
	betweenAll = 2  // blanks between columns
)

// lines draws the table, with the style of a terminal if there is one. A note
// takes at most longest lines.
func (t *table) lines(wide, longest int, s style) []string {
	shown := make([]bool, len(t.columns))
	widths := make([]int, len(t.columns))
	rest, last := 0, 0
	for i := range t.columns {
		shown[i] = true
		if widths[i] = t.columns[i].width(); i > 0 {
			rest += widths[i] + betweenAll
			last = max(last, t.columns[i].drop)
		}
	}
	for want := min(widths[0], leastName); last > 0 && want+rest > wide; last-- {
		for i := range t.columns {
			if t.columns[i].drop == last {
				shown[i] = false
				rest -= widths[i] + betweenAll
			}
		}
	}
	widths[0] = max(min(widths[0], wide-rest), 4)
	line := func(each func(i int) (text string, alarm bool), bold bool) string {
		var b strings.Builder
		left := wide
		for i := range t.columns {
			if !shown[i] {
				continue
			}
			if i > 0 {
				b.WriteString("  ")
				left -= betweenAll
			}
			text, alarm := each(i)
			n := min(widths[i], max(left, 0))
			left -= n
			text = pad(Fit(text, n), n, i > 0 && !t.columns[i].left)
			switch {
			case bold:
				text = s.bold(text)
			case alarm:
				text = s.red(text)
			}
			b.WriteString(text)
		}
		return strings.TrimRight(b.String(), " ")
	}
	out := []string{line(func(i int) (string, bool) { return t.columns[i].title, false }, true)}
	for r := range t.rows() {
		out = append(out, line(func(i int) (string, bool) { c := t.columns[i].cells[r]; return c.text, c.alarm }, false))
		if note, ok := t.notes[r]; ok {
			for _, text := range fold(note.text, wide-2, 2, longest) {
				text = "  " + text
				if note.alarm {
					text = s.red(text)
				}
				out = append(out, text)
			}
		}
	}
	return out
}

// style is what a terminal can do beside text.
type style bool

func (s style) bold(text string) string { return s.with("1", text) }
func (s style) red(text string) string  { return s.with("31", text) }

func (s style) with(code, text string) string {
	if !s || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
