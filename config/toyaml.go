package config

import (
	"bytes"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kagarilog/kagari/option"
)

// ToYAML converts the classic file at path to YAML: one file with everything
// that it includes. Comments, the order, and variables as written are kept.
// Files of parsers and stream tasks stay beside it, except that several
// parsers files become a section. With an error among the problems nothing
// useful was written.
func ToYAML(w io.Writer, path string) option.Problems {
	var ps option.Problems
	if FormatOf(path) == YAML {
		return append(ps, option.Problem{Pos: option.Pos{File: path}, Message: "the file is YAML already"})
	}
	tree := readTree(path, &Sources{}, &ps)
	if ps.HasErrors() {
		return ps
	}
	y := &yamlWriter{tree: tree, ps: &ps, file: path}
	y.write()
	if _, err := w.Write(y.out.Bytes()); err != nil {
		ps = append(ps, option.Problem{Message: "write YAML: " + err.Error()})
	}
	return ps
}

type yamlWriter struct {
	tree *Tree
	ps   *option.Problems
	out  bytes.Buffer
	file string // of the section written last
}

func (y *yamlWriter) warn(pos option.Pos, format string, args ...any) {
	r := &reader{ps: y.ps}
	r.warn(pos, "", format, args...)
}

func (y *yamlWriter) line(indent int, text string) {
	y.out.WriteString(strings.Repeat(" ", indent))
	y.out.WriteString(text)
	y.out.WriteByte('\n')
}

// notes writes comments; blank lines between them stay.
func (y *yamlWriter) notes(indent int, notes []string) {
	for i, n := range notes {
		if n == "" {
			if i > 0 && i < len(notes)-1 {
				y.out.WriteByte('\n')
			}
			continue
		}
		y.line(indent, printable(n))
	}
}

// gap separates top-level sections.
func (y *yamlWriter) gap() {
	if y.out.Len() > 0 {
		y.out.WriteByte('\n')
	}
}

func (y *yamlWriter) write() {
	for _, s := range y.tree.sections {
		for _, p := range s.body {
			if !utf8.ValidString(p.val.text) {
				y.warn(p.val.pos, "the value is not valid UTF-8, which YAML cannot hold")
			}
		}
	}
	y.env()
	parsers := y.service()
	for _, s := range y.tree.sections {
		if s.kind == kindParser || s.kind == kindMultilineParser {
			parsers = append(parsers, s) // of names so short that Fluent Bit lets them pass
		}
	}
	y.list("parsers", kindParser, parsers, 0)
	y.list("multiline_parsers", kindMultilineParser, parsers, 0)
	y.list("stream_processor", kindStreamProcessor, y.tree.sections, 0)
	y.list("customs", kindCustom, y.tree.sections, 0)
	pipeline := false
	for _, part := range []struct {
		name string
		kind kind
	}{{"inputs", kindInput}, {"filters", kindFilter}, {"outputs", kindOutput}} {
		if !slices.ContainsFunc(y.tree.sections, func(s *section) bool { return s.kind == part.kind }) {
			continue
		}
		if !pipeline {
			y.gap()
			y.line(0, "pipeline:")
			pipeline = true
		}
		y.list(part.name, part.kind, y.tree.sections, 2)
	}
	for _, s := range y.tree.sections {
		if s.kind == kindOther || s.kind == kindPlugins || s.kind == kindUpstreamServers {
			y.gap()
			y.notes(0, s.notes)
			y.line(0, "# ["+printable(s.name)+"] was ignored")
			for _, p := range s.body {
				y.line(0, "#     "+printable(p.key.text+" "+p.val.text))
			}
			y.warn(s.pos, "the section [%s] is ignored and becomes a comment", s.name)
		}
	}
	if len(y.tree.tail) > 0 {
		y.gap()
		y.notes(0, y.tree.tail)
	}
}

// env writes the variables of @SET. The last setting of a name counts.
func (y *yamlWriter) env() {
	last := map[string]string{}
	for _, v := range y.tree.vars {
		last[v.name] = v.value
	}
	for i, v := range y.tree.vars {
		if i == 0 {
			y.line(0, "env:")
		}
		y.notes(2, v.notes)
		if value, ok := last[v.name]; ok {
			y.line(2, scalarYAML(v.name)+": "+scalarYAML(value))
			delete(last, v.name)
		}
	}
}

// service writes the settings of all SERVICE sections. It returns the parsers
// of the files that had to be taken in, since YAML knows only one parsers_file.
func (y *yamlWriter) service() (taken []*section) {
	var body []pair
	var notes []string
	for _, s := range y.tree.sections {
		if s.kind == kindService {
			notes = append(notes, s.notes...)
			body = append(body, s.body...)
		}
	}
	files := 0
	for _, p := range body {
		if p.key.text == "parsers_file" {
			files++
		}
	}
	if len(body) == 0 && len(notes) == 0 {
		return nil
	}
	y.gap()
	y.notes(0, notes)
	if len(body) == 0 {
		return nil
	}
	start := y.out.Len()
	y.line(0, "service:")
	head := y.out.Len()
	for i, p := range body {
		key := p.key.text
		y.notes(2, p.notes)
		repeated := slices.ContainsFunc(body[i+1:], func(q pair) bool { return q.key.text == key })
		switch {
		case p.val.shape != option.Scalar:
			y.warn(p.key.pos, "the group %q is ignored and left out", key)
		case key == "parsers_file" && files > 1 && !strings.Contains(p.val.text, "${"):
			file := locate(p.val.text, includeDir(y.tree.Path))
			taken = append(taken, readFile(file, p.val.pos, "parsers file", y.tree.Sources, y.ps).sections...)
		case repeated && key != "parsers_file" && key != "plugins_file":
			// Only the last one counts.
		default:
			y.line(2, scalarYAML(key)+": "+scalarYAML(p.val.text))
		}
	}
	if y.out.Len() == head {
		y.out.Truncate(start)
	}
	return taken
}

// list writes the sections of one kind as a list.
func (y *yamlWriter) list(name string, k kind, sections []*section, indent int) {
	first := true
	for _, s := range sections {
		if s.kind != k {
			continue
		}
		if first {
			if indent == 0 {
				y.gap()
			}
			y.line(indent, name+":")
			first = false
		} else {
			y.out.WriteByte('\n')
		}
		if s.pos.File != y.file {
			y.file = s.pos.File
			y.line(indent+2, "# from "+printable(filepath.Base(s.pos.File)))
		}
		y.notes(indent+2, s.notes)
		y.entry(s, indent+2)
	}
}

// entry writes one section as an entry of a list, its name first.
func (y *yamlWriter) entry(s *section, indent int) {
	body := slices.Clone(s.body)
	if i := slices.IndexFunc(body, func(p pair) bool { return p.key.text == "name" && p.val.shape == option.Scalar }); i > 0 {
		name := body[i]
		body = slices.Insert(slices.Delete(body, i, i+1), 0, name)
	}
	var rules []pair
	dash := "- "
	write := func(text string) {
		y.line(indent, dash+text)
		dash = "  "
	}
	written := map[string]bool{}
	flat := s.kind == kindParser || s.kind == kindMultilineParser || s.kind == kindStreamProcessor // knows no lists
	for i := 0; i < len(body); i++ {
		p := body[i]
		key := p.key.text
		if dash == "- " {
			y.notes(indent, p.notes)
		} else {
			y.notes(indent+2, p.notes)
		}
		if s.kind == kindMultilineParser && (key == "rule" || p.val.shape != option.Scalar) {
			rules = append(rules, p)
			continue
		}
		if p.val.shape == option.Map {
			y.warn(p.key.pos, "the group %q is ignored and left out", key)
			continue
		}
		if written[key] {
			switch {
			case key == "name" || flat && !strings.HasPrefix(key, "decode_field"):
				continue // the first counts
			case flat:
				y.warn(p.key.pos, "the option %q is written twice in one map, which other YAML tools may refuse", key)
			default:
				write("# the order of the options matters, so that this one stands here again")
				y.warn(p.key.pos, "the option %q is written twice in one map to keep the order, which other YAML tools may refuse", key)
			}
		}
		written[key] = true
		run := i
		for !flat && key != "name" && run+1 < len(body) && body[run+1].key.text == key && body[run+1].val.shape == option.Scalar {
			run++
		}
		if run == i {
			write(scalarYAML(key) + ": " + scalarYAML(p.val.text))
			continue
		}
		write(scalarYAML(key) + ":")
		for ; i <= run; i++ {
			if p.key.pos != body[i].key.pos {
				y.notes(indent+4, body[i].notes)
			}
			y.line(indent+4, "- "+scalarYAML(body[i].val.text))
		}
		i--
	}
	if len(rules) > 0 {
		y.rules(write, indent, rules)
	}
	if dash == "- " {
		y.line(indent, "- {}")
	}
}

// rules writes the rules of a multiline parser as maps.
func (y *yamlWriter) rules(write func(string), indent int, rules []pair) {
	write("rules:")
	for _, p := range rules {
		var parts [3]string
		if p.val.shape == option.Map {
			for i, key := range []string{"state", "regex", "next_state"} {
				v, _ := p.val.get(key)
				parts[i] = v.val.text
			}
		} else {
			for i, w := range splitWords(p.val.text, 3) {
				if i < len(parts) {
					parts[i] = w.text
				}
			}
		}
		y.line(indent+4, "- state: "+scalarYAML(parts[0]))
		y.line(indent+4, "  regex: "+scalarYAML(parts[1]))
		y.line(indent+4, "  next_state: "+scalarYAML(parts[2]))
	}
}

// scalarYAML writes a text, in quotes only where it must be.
func scalarYAML(s string) string {
	if plainYAML(s) {
		return s
	}
	quotable := true
	for _, r := range s {
		if r < 0x20 && r != '\t' || r >= 0x7f && r < 0xa0 || mustEscape(r) || r == 0xfffd {
			quotable = false
		}
	}
	if quotable {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return doubleQuoted(s)
}

// plainYAML tells whether a text can stand without quotes, in every YAML tool.
func plainYAML(s string) bool {
	if s == "" || s == "~" || strings.EqualFold(s, "null") || s[len(s)-1] == ':' || s[len(s)-1] == ' ' ||
		strings.Contains(s, ": ") || strings.Contains(s, " #") {
		return false
	}
	if !isWord(rune(s[0])) && !strings.ContainsRune("/.$^(", rune(s[0])) || s[0] == '-' && len(s) < 2 {
		return false
	}
	if s[0] == '-' && (s[1] < '0' || s[1] > '9') || strings.HasPrefix(s, "...") {
		return false
	}
	for _, r := range s {
		if r < 0x20 || r > 0x7e {
			return false
		}
	}
	return true
}

// mustEscape tells whether YAML allows a character beyond Latin-1 only as an
// escape, or would take it for a line break or byte order mark.
func mustEscape(r rune) bool {
	return r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffe || r == 0xffff
}

const hexDigits = "0123456789abcdef"

// doubleQuoted writes a text that has characters which need an escape. Bytes
// that are no UTF-8 cannot be written in YAML and become the replacement
// character.
func doubleQuoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			b.WriteString(`\x`)
			b.WriteByte(hexDigits[r>>4])
			b.WriteByte(hexDigits[r&15])
		case mustEscape(r):
			b.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				b.WriteByte(hexDigits[r>>shift&15])
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
