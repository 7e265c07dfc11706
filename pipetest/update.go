package pipetest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
)

// Leftover is an expectation that Update cannot write down.
type Leftover struct {
	Test    *Test
	Output  string
	Why     string
	Snippet []string // lines to be put in its place by hand, if that helps
}

// Update writes what has arrived into the test file, in place of the lists of
// records, the counts and the words nothing that were not met; a test without
// expectations gets some. Everything else in the file stays as it is, also the
// comments, except those inside of a record that changes and of one that is
// gone. It returns what is for
// people to decide: conditions, and what does not stand on lines of its own. The
// file is replaced at once or, after an error, not at all.
func Update(f *File, results []*Result) (changed int, left []Leftover, err error) {
	text, err := os.ReadFile(f.Path)
	if err != nil {
		return 0, nil, fmt.Errorf("read test file: %w", err)
	}
	u := &updater{lines: strings.SplitAfter(string(text), "\n")}
	for _, res := range results {
		if res.Err != nil || res.Passed() {
			continue
		}
		n := len(u.edits)
		u.result(res)
		if len(u.edits) > n {
			changed++
		}
	}
	if len(u.edits) == 0 {
		return 0, u.left, nil
	}
	if err := replaceFile(f, []byte(u.apply()), results); err != nil {
		return 0, u.left, err
	}
	return changed, u.left, nil
}

// updater collects changes of a file.
type updater struct {
	lines []string // with their ends
	edits []edit
	left  []Leftover
}

// edit replaces lines[from:to].
type edit struct {
	from, to int
	with     []string // without their ends
}

func (u *updater) apply() string {
	slices.SortStableFunc(u.edits, func(a, b edit) int { return b.from - a.from })
	lines := u.lines
	end := "\n"
	if len(lines) > 0 && strings.HasSuffix(lines[0], "\r\n") {
		end = "\r\n"
	}
	for _, e := range u.edits {
		var with []string
		for _, l := range e.with {
			with = append(with, l+end)
		}
		if e.from > 0 && e.from == len(lines) && !strings.HasSuffix(lines[e.from-1], "\n") {
			lines[e.from-1] += end
		}
		lines = slices.Concat(lines[:e.from], with, lines[e.to:])
	}
	return strings.Join(lines, "")
}

// line returns a line by its number from 0, without its end.
func (u *updater) line(i int) string { return strings.TrimRight(u.lines[i], "\r\n") }

func (u *updater) result(res *Result) {
	if len(res.Test.Expect) == 0 && !res.Test.Only {
		u.insert(res)
		return
	}
	for i := range res.Test.Expect {
		e := &res.Test.Expect[i]
		got := res.arrived(e.Output)
		if failsOnly(*e, got.Events, func(*Expect) {}) {
			u.expectation(res, e, got)
		}
	}
}

func (u *updater) leave(res *Result, output, why string, snippet []string) {
	u.left = append(u.left, Leftover{res.Test, output, why, snippet})
}

// failsOnly tells whether the expectation reduced to what change leaves fails.
func failsOnly(e Expect, got []Event, change func(*Expect)) bool {
	change(&e)
	failed := false
	e.compare(got, func(option.Pos, []Line, string, ...any) { failed = true })
	return failed
}

func (u *updater) expectation(res *Result, e *Expect, got Arrived) {
	if e.Nothing || e.HasExact {
		exact := failsOnly(*e, got.Events, func(x *Expect) {
			x.Contains, x.count, x.Where, x.Some, x.None, x.Tag = nil, nil, nil, nil, nil, ""
		})
		if exact {
			u.records(res, e, got)
		}
	}
	if len(e.count) > 0 {
		u.count(res, e, got)
	}
	if failsOnly(*e, got.Events, func(x *Expect) { x.Nothing, x.HasExact, x.count = false, false, nil }) {
		u.leave(res, e.Output, "contains, where, some, none and tag are not changed", nil)
	}
}

var countEntry = regexp.MustCompile(`^(count\s*:\s*)\d+`)

func (u *updater) count(res *Result, e *Expect, got Arrived) {
	if !failsOnly(Expect{count: e.count, countPos: e.countPos}, got.Events, func(*Expect) {}) {
		return
	}
	i, col := e.countPos.Line-1, e.countPos.Col-1
	runes := []rune(u.line(i))
	m := countEntry.FindStringSubmatch(string(runes[col:]))
	if m == nil {
		u.leave(res, e.Output, "a condition for count is not changed", nil)
		return
	}
	line := string(runes[:col]) + m[1] + strconv.Itoa(len(got.Events)) + string(runes[col+len([]rune(m[0])):])
	u.edits = append(u.edits, edit{i, i + 1, []string{line}})
}

// records writes the list of an output anew. Records that have arrived as
// expected keep their lines.
func (u *updater) records(res *Result, e *Expect, got Arrived) {
	key, pos := e.Output, e.Pos
	if !e.bare {
		key, pos = e.exactKey, e.exactPos
	}
	from := pos.Line - 1
	indent := pos.Col - 1
	head := u.line(from)
	if strings.TrimLeft(head[:min(indent, len(head))], " ") != "" || len(head) < indent {
		u.leave(res, e.Output, "it does not stand on lines of its own; write this instead", e.rendered("", res, got.Events, key, nil))
		return
	}
	to := u.entryEnd(from, indent)
	kept := map[int][]string{}
	if len(e.Exact) > 0 && e.Exact[0].Pos.Line-1 > from {
		for i := range e.Exact {
			kept[i] = u.itemLines(e, i, to)
		}
	}
	u.edits = append(u.edits, edit{from, to, e.rendered(head, res, got.Events, key, kept)})
}

// entryEnd returns the line behind the entry of a block map that begins in line
// from, without the blank lines and comments that end it.
func (u *updater) entryEnd(from, indent int) int {
	end := from + 1
	for i := from + 1; i < len(u.lines); i++ {
		line := u.line(i)
		text := strings.TrimLeft(line, " ")
		if text == "" || text[0] == '#' {
			continue
		}
		in := len(line) - len(text)
		if in < indent || in == indent && text != "-" && !strings.HasPrefix(text, "- ") {
			break
		}
		end = i + 1
	}
	return end
}

// itemLines returns the lines of one entry of a block list, with the comments
// above it, or nil if it shares a line with another.
func (u *updater) itemLines(e *Expect, i, to int) []string {
	first := e.Exact[i].Pos.Line - 1
	if !strings.HasPrefix(strings.TrimLeft(u.line(first), " "), "- ") {
		return nil
	}
	if i+1 < len(e.Exact) {
		if to = e.Exact[i+1].Pos.Line - 1; to == first {
			return nil
		}
		for to > first+1 && isComment(u.line(to-1)) {
			to--
		}
	}
	for first > 0 && isComment(u.line(first-1)) {
		first--
	}
	var out []string
	for _, l := range u.lines[first:to] {
		out = append(out, strings.TrimRight(l, "\r\n"))
	}
	return out
}

func isComment(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " \t"), "#") }

// entryComment finds the comment behind a key, or behind its value if that is a
// single word or an empty list.
var entryComment = regexp.MustCompile(`^[^#"']*:\s*(?:\w*|\[\s*\])\s+(#.*)$`)

// rendered is the entry of an output as lines. head is the line of its key as it
// stands in the file.
func (e *Expect) rendered(head string, res *Result, got []Event, key string, kept map[int][]string) []string {
	indent := len(head) - len(strings.TrimLeft(head, " "))
	pad := strings.Repeat(" ", indent)
	comment := ""
	if m := entryComment.FindStringSubmatch(head); m != nil {
		comment = " " + m[1]
	}
	if len(got) == 0 {
		word := "[]"
		if e.bare {
			word = "nothing"
		}
		return []string{pad + yamlKey(key) + ": " + word + comment}
	}
	style := e.style(res)
	out := []string{pad + yamlKey(key) + ":" + comment}
	item := pad + "  "
	for _, lines := range kept {
		for _, l := range lines {
			if text := strings.TrimLeft(l, " "); strings.HasPrefix(text, "- ") {
				item = l[:len(l)-len(text)]
				break
			}
		}
	}
	pairs := align(len(e.Exact), len(got), !e.AnyOrder,
		func(i, j int) bool { return e.matches(&e.Exact[i], &got[j]) },
		func(i, j int) float64 { return similarity(e.Exact[i].Record, got[j].Record) })
	for _, p := range pairs {
		switch {
		case p.got < 0:
		case p.same && kept[p.want] != nil:
			out = append(out, kept[p.want]...)
		default:
			for _, l := range kept[p.want] {
				if !isComment(l) {
					break
				}
				out = append(out, l)
			}
			var old event.Value
			if p.want >= 0 {
				old = e.Exact[p.want].Record
			}
			out = append(out, renderItem(item, style.render(&got[p.got], e.Ignore, old))...)
		}
	}
	return out
}

// style is which parts of events a list shows.
type style struct {
	plain, tag, time, meta bool
	began, ended           int64 // of the test: times in between are never the same
}

func (e *Expect) style(res *Result) style {
	s := style{plain: e.exactKey != "events", began: res.began.UnixNano(), ended: res.ended.UnixNano()}
	for _, w := range e.Exact {
		s.tag = s.tag || w.Tag != nil
		s.time = s.time || w.Time != nil
		s.meta = s.meta || w.Meta != nil
	}
	return s
}

// render gives the entries of a map: the record's or, in events, those of the
// event. Keys come in the order of the old record, so that a change is small.
func (s style) render(ev *Event, ignore []string, old event.Value) [][2]string {
	rec := inOrderOf(old, without(ev.Record, ignore))
	if s.plain {
		var out [][2]string
		for _, f := range lastFields(rec) {
			out = append(out, [2]string{yamlKey(f.path), yamlValue(f.val)})
		}
		return out
	}
	var out [][2]string
	if s.tag {
		out = append(out, [2]string{"tag", yamlText(ev.Tag)})
	}
	if s.time && (ev.Time < s.began || ev.Time > s.ended) {
		out = append(out, [2]string{"time", formatTime(ev.Time)})
	}
	if s.meta {
		out = append(out, [2]string{"metadata", yamlValue(ev.Meta)})
	}
	return append(out, [2]string{"record", yamlValue(rec)})
}

func inOrderOf(old, rec event.Value) event.Value {
	if len(old) == 0 {
		return rec
	}
	place := map[string]int{}
	for i, f := range lastFields(old) {
		place[f.path] = i - len(old) // before all others, which have 0
	}
	fields := lastFields(rec)
	slices.SortStableFunc(fields, func(a, b field) int { return place[a.path] - place[b.path] })
	out := event.AppendMapHeader(nil, len(fields))
	for _, f := range fields {
		out = append(event.AppendString(out, f.path), f.val...)
	}
	return out
}

// maxLine is how long a record on one line may be.
const maxLine = 110

// renderItem gives one entry of a list, on one line if it is not too long.
func renderItem(pad string, entries [][2]string) []string {
	var parts []string
	for _, e := range entries {
		parts = append(parts, e[0]+": "+e[1])
	}
	line := pad + "- {" + strings.Join(parts, ", ") + "}"
	if len(line) <= maxLine || len(parts) == 0 {
		return []string{line}
	}
	var out []string
	for i, part := range parts {
		bullet := "  "
		if i == 0 {
			bullet = "- "
		}
		out = append(out, pad+bullet+part)
	}
	return out
}

var (
	plainKey  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./@-]*$`)
	plainText = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./@ -]*[A-Za-z0-9_/]$`)
)

// reserved tells whether YAML, or an older YAML, reads a plain word as something
// else than text.
func reserved(s string) bool {
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "on", "off", "nothing":
		return true
	}
	return false
}

func yamlKey(s string) string {
	if plainKey.MatchString(s) && !reserved(s) {
		return s
	}
	return yamlQuoted(s)
}

func yamlText(s string) string {
	if len(s) < 60 && plainText.MatchString(s) && !reserved(s) {
		return s
	}
	return yamlQuoted(s)
}

// yamlQuoted is text in double quotes. JSON's escapes are YAML's, but YAML wants
// more of them.
func yamlQuoted(s string) string {
	var b strings.Builder
	for _, r := range string(event.AppendJSONString(nil, strings.ToValidUTF8(s, "\ufffd"), event.JSONOptions{})) {
		switch {
		case r >= 0x7f && r <= 0x9f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r == 0x2028, r == 0x2029, r == 0xfeff, r == 0xfffe, r == 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// yamlValue is a value on one line.
func yamlValue(v event.Value) string {
	switch v.Kind() {
	case event.KindMap:
		var parts []string
		for _, f := range lastFields(v) {
			parts = append(parts, yamlKey(f.path)+": "+yamlValue(f.val))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case event.KindArray:
		var parts []string
		for _, item := range items(v) {
			parts = append(parts, yamlValue(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	if s, ok := v.Str(); ok {
		return yamlText(string(s))
	}
	return show(v)
}

// insert adds the expectations of a test that has none.
func (u *updater) insert(res *Result) {
	t := res.Test
	var lines []string
	for _, o := range res.Outputs {
		e := Expect{bare: true, exactKey: "records"}
		lines = append(lines, e.rendered("  ", res, o.Events, o.ID, nil)...)
	}
	from, indent := t.Pos.Line-1, t.Pos.Col-1
	head := u.line(from)
	if t.expectPos.Line > 0 || len(head) < indent || strings.Trim(head[:indent], " -") != "" {
		u.leave(res, "", "it does not stand on lines of its own; write this into it", append([]string{"expect:"}, lines...))
		return
	}
	pad := strings.Repeat(" ", indent)
	with := []string{pad + "expect:"}
	for _, l := range lines {
		with = append(with, pad+l)
	}
	end := u.blockEnd(from, indent)
	u.edits = append(u.edits, edit{end, end, with})
}

// blockEnd returns the line behind the block map whose first key stands in line
// from.
func (u *updater) blockEnd(from, indent int) int {
	end := from + 1
	for i := from + 1; i < len(u.lines); i++ {
		line := u.line(i)
		text := strings.TrimLeft(line, " ")
		if text == "" || text[0] == '#' {
			continue
		}
		if len(line)-len(text) < indent {
			break
		}
		end = i + 1
	}
	return end
}

// replaceFile puts the new text in the place of the file after reading it, so
// that a change which has gone wrong does no harm.
func replaceFile(f *File, text []byte, results []*Result) (err error) {
	mode := os.FileMode(0o644)
	if st, err := os.Stat(f.Path); err == nil {
		mode = st.Mode().Perm()
	}
	// The name ends as that of the file, as it may say what is tested.
	tmp, err := os.CreateTemp(filepath.Dir(f.Path), ".*."+filepath.Base(f.Path))
	if err != nil {
		return fmt.Errorf("write test file: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(text)
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Chmod(tmp.Name(), mode)
	}
	if err != nil {
		return fmt.Errorf("write test file: %w", err)
	}
	again, _, ps := ReadFile(tmp.Name(), results[0].Test.Config, 0)
	if again == nil || len(again.Tests) != len(f.Tests) {
		return fmt.Errorf("update %s: the file is laid out in a way that cannot be changed safely; nothing was written: %w", f.Path, ps.Err())
	}
	if err := os.Rename(tmp.Name(), f.Path); err != nil {
		return fmt.Errorf("write test file: %w", err)
	}
	return nil
}
