package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kagarilog/kagari/admin"
	"github.com/kagarilog/kagari/plugin"
)

// Screen says how a status is drawn.
type Screen struct {
	Width   int  // columns, at least 60
	Height  int  // lines; 0: as many as there are
	Colour  bool // with the escape sequences of a terminal
	Busiest bool // what is in trouble and what is busy comes first
	Address string
}

// Draw returns the lines of a status, without their ends.
func (sc Screen) Draw(st *admin.Status) []string {
	sc.Width = max(sc.Width, 60)
	if sc.Busiest {
		st = busiestFirst(st)
	}
	s := style(sc.Colour)
	out := sc.head(st, s)
	for _, t := range []*table{inputs(st), filters(st), outputs(st), losses(st)} {
		if t.rows() > 0 {
			out = append(append(out, ""), t.lines(sc.Width, sc.longest(), s)...)
		}
	}
	out = append(out, "")
	switch {
	case st.Software != "kagari":
		out = append(out, fold("This is "+clean(st.Software)+", which does not tell what waits for its outputs, which error was the last, and for what reason it dropped or refused something.", sc.Width, 0, 3)...)
	case st.Phase == "":
		out = append(out, "This kagari is older and does not tell everything.")
	case len(st.Losses) == 0:
		out = append(out, "Nothing was lost, dropped by an output, refused or cut.")
	default:
		out = out[:len(out)-1]
	}
	if sc.Height > 0 && len(out) > sc.Height {
		cut := len(out) - sc.Height + 1
		out = append(out[:sc.Height-1], Fit(fmt.Sprintf("… %d more lines; kagari status shows all", cut), sc.Width))
	}
	return out
}

// longest is how many lines a message may take.
func (sc Screen) longest() int {
	if sc.Height > 0 {
		return 1
	}
	return 4
}

// head is the first lines: what this is, how it is, and what it uses.
func (sc Screen) head(st *admin.Status, s style) []string {
	who := []string{st.Software + " " + st.Version}
	add := func(list *[]string, format string, args ...any) { *list = append(*list, fmt.Sprintf(format, args...)) }
	if sc.Address != "" {
		add(&who, "at %s", sc.Address)
	}
	if st.Phase != "" {
		add(&who, "%s", st.Phase)
	}
	add(&who, "up %s", span(st.Uptime))
	if st.Reloads > 0 {
		add(&who, "reloads %d", st.Reloads)
	}
	if st.Config != "" {
		add(&who, "config %s", st.Config)
	}
	var uses []string
	if st.Health != "" {
		add(&uses, "health %s", st.Health)
	}
	if m := st.Memory; m != nil {
		limit := ""
		if m.Limit > 0 {
			limit = " of " + size(float64(m.Limit))
		}
		add(&uses, "memory %s%s", size(float64(m.Bytes)), limit)
	}
	if c := st.Storage; c != nil {
		add(&uses, "chunks %d", c.Chunks)
		if c.Stored > 0 || c.Bytes > 0 {
			add(&uses, "on disk %d, %s", c.Stored, size(float64(c.Bytes)))
		}
		if c.Letters > 0 {
			add(&uses, "dead letters %s", size(float64(c.Letters)))
		}
	}
	out := sc.wrap(who)
	if st.Ready == nil {
		return append(out, sc.wrap(uses)...)
	}
	if st.Ready.Status == "ready" {
		return append(out, sc.wrap(append([]string{"ready"}, uses...))...)
	}
	out = append(out, sc.wrap(uses)...)
	for _, why := range st.Ready.Reasons {
		for _, line := range fold("not ready: "+clean(why), sc.Width, 2, sc.longest()) {
			out = append(out, s.red(line))
		}
	}
	return out
}

// wrap joins parts with blanks into as few lines as the width allows.
func (sc Screen) wrap(parts []string) []string {
	var out []string
	line := ""
	for _, p := range parts {
		p = Fit(clean(p), sc.Width)
		switch {
		case line == "":
			line = p
		case columns(line)+2+columns(p) <= sc.Width:
			line += "  " + p
		default:
			out = append(out, line)
			line = p
		}
	}
	if line != "" {
		out = append(out, line)
	}
	return out
}

func inputs(st *admin.Status) *table {
	t := newTable(column{title: "INPUT", left: true}, column{title: "RECORDS/S"}, column{title: "BYTES/S", drop: 3}, column{title: "RECORDS"},
		column{title: "BYTES", drop: 2}, column{title: "MEMORY", drop: 1}, column{title: "STATE", left: true})
	for _, in := range st.Inputs {
		state, alarm := cell{text: string(in.Condition)}, false
		switch {
		case in.Paused:
			state.text, alarm = "waits for memory", true
		case in.Condition == "":
			state.text = "-"
		}
		state.alarm = alarm || in.Condition == plugin.ConditionFailed
		t.row(named(in.Name, in.Plugin), cell{text: perSecond(in.RecordsPerSecond)}, cell{text: sizePerSecond(in.BytesPerSecond)},
			cell{text: count(float64(in.Records))}, cell{text: size(float64(in.Bytes))}, cell{text: size(float64(in.Memory)), alarm: in.MemoryLimit > 0 && in.Memory >= in.MemoryLimit}, state)
		t.failed(in.LastError, st)
	}
	return t
}

func filters(st *admin.Status) *table {
	t := newTable(column{title: "FILTER", left: true}, column{title: "IN/S"}, column{title: "IN"}, column{title: "OUT"}, column{title: "DROPPED"})
	for _, f := range st.Filters {
		name := named(f.Name, f.Plugin)
		if f.Owner != "" {
			name.text = f.Owner + ": " + f.Name
		}
		t.row(name, cell{text: perSecond(f.InPerSecond)}, cell{text: count(float64(f.In))}, cell{text: count(float64(f.Out))}, cell{text: count(float64(f.Dropped))})
		t.failed(f.LastError, st)
	}
	return t
}

func outputs(st *admin.Status) *table {
	t := newTable(column{title: "OUTPUT", left: true}, column{title: "RECORDS/S"}, column{title: "BYTES/S", drop: 3}, column{title: "RECORDS", drop: 2}, column{title: "BYTES", drop: 5},
		column{title: "CHUNKS"}, column{title: "SIZE", drop: 1}, column{title: "RETRY"}, column{title: "OLDEST"}, column{title: "RETRIES", drop: 4}, column{title: "DROPPED"})
	ready := map[string]bool{}
	if st.Ready != nil {
		for _, o := range st.Ready.Outputs {
			ready[o.Name] = o.Ready
		}
	}
	for _, o := range st.Outputs {
		chunks, bytes, retrying, oldest := cell{text: "-"}, cell{text: "-"}, cell{text: "-"}, cell{text: "-"}
		if b := o.Backlog; b != nil {
			chunks.text, bytes.text, retrying.text = count(float64(b.Chunks)), size(float64(b.Bytes)), count(float64(b.Retrying))
			retrying.alarm = b.Retrying > 0
			if b.Oldest > 0 {
				oldest.text = span(b.Oldest)
			}
			ok, known := ready[o.Name]
			oldest.alarm = known && !ok
		}
		t.row(named(o.Name, o.Plugin), cell{text: perSecond(o.RecordsPerSecond)}, cell{text: sizePerSecond(o.BytesPerSecond)}, cell{text: count(float64(o.Records))}, cell{text: size(float64(o.Bytes))},
			chunks, bytes, retrying, oldest, cell{text: count(float64(o.Retries))}, cell{text: count(float64(o.Dropped)), alarm: o.Dropped > 0})
		t.failed(o.LastError, st)
	}
	return t
}

func losses(st *admin.Status) *table {
	t := newTable(column{title: "LOST OR REFUSED", left: true}, column{title: "WHAT", left: true}, column{title: "REASON", left: true}, column{title: "NOW/S", drop: 1}, column{title: "COUNT"})
	for _, l := range st.Losses {
		name := named(l.Name, l.Plugin)
		if name.text == "" {
			name.text = "the router"
		}
		t.row(name, cell{text: l.What}, cell{text: strings.ReplaceAll(l.Reason, "_", " ")}, cell{text: perSecond(l.PerSecond), alarm: l.PerSecond != nil && *l.PerSecond > 0}, cell{text: count(float64(l.Count))})
	}
	return t
}

// named is the name of an instance and, if that does not tell it, its plugin.
func named(name, of string) cell {
	if of == "" || strings.HasPrefix(strings.ToLower(name), strings.ToLower(of)) {
		return cell{text: name}
	}
	return cell{text: name + " (" + of + ")"}
}

// failed notes the last error of the last row.
func (t *table) failed(f *admin.Failure, st *admin.Status) {
	if f != nil {
		t.note(cell{text: ago(f.At, st.Time) + ": " + f.Text, alarm: st.Time.Sub(f.At) < recent})
	}
}

// recent is how old an error may be to be shown as an alarm.
const recent = time.Minute

// busiestFirst sorts a copy: what has waited longest or fails, then what does
// most, then by name.
func busiestFirst(st *admin.Status) *admin.Status {
	sorted := *st
	number := func(r *float64) float64 {
		if r == nil {
			return 0
		}
		return *r
	}
	trouble := func(in admin.Input) int {
		switch {
		case in.Condition == plugin.ConditionFailed:
			return 2
		case in.Paused:
			return 1
		}
		return 0
	}
	sorted.Inputs = slices.Clone(st.Inputs)
	slices.SortStableFunc(sorted.Inputs, func(a, b admin.Input) int {
		return cmp.Or(cmp.Compare(trouble(b), trouble(a)), cmp.Compare(number(b.RecordsPerSecond), number(a.RecordsPerSecond)), cmp.Compare(b.Records, a.Records), cmp.Compare(a.Name, b.Name))
	})
	sorted.Filters = slices.Clone(st.Filters)
	slices.SortStableFunc(sorted.Filters, func(a, b admin.Filter) int {
		return cmp.Or(cmp.Compare(number(b.InPerSecond), number(a.InPerSecond)), cmp.Compare(b.In, a.In), cmp.Compare(a.Name, b.Name))
	})
	waits := func(o admin.Output) (retrying int, oldest float64) {
		if o.Backlog == nil || o.Backlog.Retrying == 0 {
			return 0, 0
		}
		return 1, o.Backlog.Oldest
	}
	sorted.Outputs = slices.Clone(st.Outputs)
	slices.SortStableFunc(sorted.Outputs, func(a, b admin.Output) int {
		ra, oa := waits(a)
		rb, ob := waits(b)
		return cmp.Or(cmp.Compare(rb, ra), cmp.Compare(ob, oa), cmp.Compare(number(b.RecordsPerSecond), number(a.RecordsPerSecond)), cmp.Compare(b.Records, a.Records), cmp.Compare(a.Name, b.Name))
	})
	sorted.Losses = slices.Clone(st.Losses)
	slices.SortStableFunc(sorted.Losses, func(a, b admin.Loss) int {
		return cmp.Or(cmp.Compare(number(b.PerSecond), number(a.PerSecond)), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return &sorted
}
