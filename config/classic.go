package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kagarilog/kagari/option"
)

// classicParser reads one file of the classic format:
//
//	@SET name=value
//	@INCLUDE path
//	# comment
//	[SECTION]
//	    Key value up to the end of the line
//	    [GROUP]·
//	        Key value
//
// The first indented line sets the indentation of the whole file; groups are
// indented twice. The rules and their oddities are those of Fluent Bit, and
// every departure from them is an error of its own.
type classicParser struct {
	r    *reader
	file string
	line int
	text string // the current line

	indent   string
	indented int // the line that set the indentation
	section  *section
	group    int // index in section.body, or -1
	keys     int // properties since the section or group began
	notes    []string
	blamed   bool // the indentation of this section was reported already
}

func (r *reader) classicFile(path string, at option.Pos, what string) {
	fi, err := os.Stat(path)
	if err == nil {
		if seen(r.files, fi) {
			r.fail(at, "", "%s %q is read twice", what, path)
			return
		}
		r.files = append(r.files, fi)
	}
	text, ok := r.open(path, at, what)
	if !ok {
		return
	}
	p := &classicParser{r: r, file: path, group: -1}
	if rest, ok := bytes.CutPrefix(text, []byte("\xef\xbb\xbf")); ok {
		r.fail(option.Pos{File: path, Line: 1}, "save the file as UTF-8 without it",
			"the file starts with a byte order mark")
		text = rest
	}
	for len(text) > 0 {
		line, rest, ended := bytes.Cut(text, []byte("\n"))
		text = rest
		p.line++
		if p.text = string(line); ended {
			p.text = strings.TrimSuffix(p.text, "\r")
		}
		if n := strings.IndexByte(p.text, 0); n >= 0 {
			r.fail(p.at(n), "", "the line holds a NUL byte; is this a configuration file?")
			break
		}
		p.readLine()
	}
	r.tree.tail = append(r.tree.tail, p.notes...)
}

// at is the place of a byte of the current line.
func (p *classicParser) at(offset int) option.Pos {
	return option.Pos{File: p.file, Line: p.line, Col: utf8.RuneCountInString(p.text[:offset]) + 1}
}

// takeNotes returns the comment lines since the last thing of substance.
func (p *classicParser) takeNotes() []string {
	n := p.notes
	p.notes = nil
	return n
}

func (p *classicParser) note(comment string) {
	p.notes = append(p.notes, comment)
}

func isSpaceC(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' }

// fail reports a mistake in the current section.
func (p *classicParser) fail(offset int, fix, format string, args ...any) {
	if p.section != nil {
		p.section.broken = true
	}
	p.r.fail(p.at(offset), fix, format, args...)
}

func (p *classicParser) readLine() {
	s := p.text
	switch {
	case s == "":
		if len(p.notes) > 0 && p.notes[len(p.notes)-1] != "" {
			p.note("")
		}
	case s[0] == '#':
		p.note(s)
	case len(s) > 9 && strings.EqualFold(s[:9], "@INCLUDE "):
		p.include(s[9:])
	case s[0] == '@' && len(s) > 3:
		p.command()
	case s[0] == '[':
		p.header()
	default:
		p.property()
	}
}

// include reads another file in the place of the line. Files are looked for
// from the working directory and then from the main file's; patterns only from
// the latter.
func (p *classicParser) include(path string) {
	at := p.at(9)
	if !strings.Contains(path, "*") {
		file := locate(path, p.r.root)
		if _, err := os.Stat(file); err != nil {
			fix := ""
			switch {
			case strings.Contains(path, "${"):
				fix = "variables are not expanded in @INCLUDE"
			case strings.TrimFunc(path, isSpaceC) != path:
				fix = "remove the blanks around the path"
			}
			p.r.fail(at, fix, "%s", fileError("included file", path, err))
			return
		}
		p.r.classicFile(file, at, "included file")
		return
	}
	pattern := path
	if !filepath.IsAbs(path) {
		pattern = filepath.Join(p.r.root, path)
	}
	files := globFiles(pattern)
	if len(files) == 0 {
		p.r.fail(at, "", "no file matches %q in @INCLUDE", path)
	}
	for _, f := range files {
		p.r.classicFile(f, at, "included file")
	}
}

// command handles a line that starts with @ and is no @INCLUDE.
func (p *classicParser) command() {
	name, rest, ok := strings.Cut(p.text[1:], " ")
	if !ok {
		p.fail(0, "", "%q needs a blank and an argument, as in @SET name=value", p.text)
		return
	}
	arg := strings.TrimFunc(rest, isSpaceC)
	switch {
	case arg == "":
		p.fail(0, "", "@%s has no argument", name)
	case !strings.EqualFold(name, "SET"):
		p.r.warn(p.at(0), option.DidYouMean(name, []string{"SET", "INCLUDE"}),
			"the command @%s is not known and is ignored", name)
	default:
		key, value, ok := strings.Cut(arg, "=")
		if !ok {
			p.r.warn(p.at(0), "write @SET name=value", "@SET without \"=\" is ignored")
			return
		}
		if key != strings.TrimFunc(key, isSpaceC) {
			p.r.warn(p.at(0), "remove the blank before \"=\"", "the blank belongs to the name of the variable")
		}
		p.r.tree.vars = append(p.r.tree.vars, variable{name: key, value: value, meta: true,
			pos: p.at(0), notes: p.takeNotes()})
	}
}

func (p *classicParser) header() {
	p.section, p.group, p.blamed = nil, -1, false
	end := strings.IndexByte(p.text, ']')
	if end < 0 {
		p.fail(len(p.text), "", "the section header has no closing %q", "]")
		p.blamed = true // the lines below would be blamed for having no section
		return
	}
	name := p.text[1:end]
	if rest := strings.TrimFunc(p.text[end+1:], isSpaceC); rest != "" && rest[0] != '#' {
		p.r.warn(p.at(end+1), "", "what follows the section header is ignored")
	}
	k, full := kindOf(name)
	if full != "" {
		p.r.warn(p.at(1), "write the name in full", "[%s] is taken for [%s]", name, strings.ToUpper(full))
	}
	p.section = &section{name: name, kind: k, pos: p.at(0), notes: p.takeNotes()}
	p.keys = 0
	p.r.tree.sections = append(p.r.tree.sections, p.section)
}

// property reads an indented line.
func (p *classicParser) property() {
	s := p.text
	if p.indent == "" {
		if s[0] != ' ' && s[0] != '\t' {
			p.blame(0, "indent the lines of a section, with four blanks for example", "this line is not indented")
			return
		}
		n := 1
		for n < len(s) && (s[n] == ' ' || s[n] == '\t') {
			n++
		}
		p.indent, p.indented = s[:n], p.line
		if n == len(s) {
			return
		}
	}
	level, group, ok := p.level()
	if !ok {
		return
	}
	if !group {
		p.group = -1
	}
	body := s[level:]
	if body == "" {
		return
	}
	if body[0] == '#' {
		p.note(body)
		return
	}
	sep := strings.IndexByte(body, ' ')
	if sep < 0 {
		if tab := strings.IndexByte(body, '\t'); tab >= 0 {
			p.fail(level+tab, "put a blank there", "a tab stands between key and value, where only a blank counts")
			return
		}
		p.fail(level, "", "the key %q has no value", body)
		return
	}
	if body[0] == '[' {
		p.startGroup(level, body)
		return
	}
	if p.section == nil {
		if !p.blamed {
			p.fail(level, "", "%q stands before the first section", body[:sep])
		}
		return
	}
	value := strings.TrimFunc(body[sep+1:], isSpaceC)
	if value == "" {
		p.fail(level, "", "the key %q has an empty value", body[:sep])
		return
	}
	key := strings.TrimFunc(body[:sep], isSpaceC)
	if key == "" {
		p.fail(level, "", "the key is empty")
		return
	}
	if tab := strings.IndexByte(key, '\t'); tab >= 0 {
		sev := option.Error
		if p.section.kind == kindService || p.section.kind == kindOther {
			sev = option.Warning
		} else {
			p.section.broken = true
		}
		p.r.report(sev, p.at(level+tab), "put a blank there", "a tab stands between key and value, where only a blank counts")
		return
	}
	from := level + sep + 1
	from += len(body[sep+1:]) - len(strings.TrimLeftFunc(body[sep+1:], isSpaceC))
	kv := pair{key: node{text: lowerASCII(key), pos: p.at(level)},
		val: node{text: value, pos: p.at(from)}, notes: p.takeNotes()}
	p.keys++
	switch {
	case p.group >= 0:
		g := &p.section.body[p.group].val
		g.pairs = append(g.pairs, kv)
	default:
		if group {
			p.r.warn(p.at(level), "", "this line is indented twice, but stands in no group; it counts for the section")
		}
		p.section.body = append(p.section.body, kv)
	}
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// blame reports the indentation, once per section.
func (p *classicParser) blame(offset int, fix, format string, args ...any) {
	if !p.blamed {
		p.fail(offset, fix, format, args...)
	}
	p.blamed = true
}

// level checks the indentation and returns where the text begins, and whether
// the line is indented as part of a group.
func (p *classicParser) level() (n int, group, ok bool) {
	s := p.text
	for n < len(p.indent) && n < len(s) && s[n] == p.indent[n] {
		n++
	}
	about := "this line"
	rest := strings.TrimLeft(s, " \t")
	switch {
	case rest == "":
		about = "this blank line"
	case rest[0] == '#':
		about = "this comment"
	}
	const same = "indentation must be the same in the whole file, also of comments and blank lines"
	extra := len(s) - n - len(rest)
	switch {
	case n == len(p.indent) && extra == 0:
		return n, false, true
	case n == len(p.indent) && extra == n:
		return 2 * n, true, true
	case n < len(p.indent) && extra > 0:
		p.blame(n, same, "%s mixes tabs and blanks; line %d is indented by %s", about, p.indented, describeIndent(p.indent))
	case n+extra == 0:
		p.blame(0, same, "%s is not indented; line %d is indented by %s", about, p.indented, describeIndent(p.indent))
	default:
		p.blame(n, same, "%s is indented by %s; line %d by %s", about, describeIndent(s[:n+extra]), p.indented, describeIndent(p.indent))
	}
	return 0, false, false
}

func describeIndent(indent string) string {
	blanks := strings.Count(indent, " ")
	switch {
	case blanks == len(indent):
		return countOf(blanks, "blank")
	case blanks == 0:
		return countOf(len(indent), "tab")
	}
	return countOf(len(indent)-blanks, "tab") + " and " + countOf(blanks, "blank")
}

// countOf gives "1 tab", "2 tabs".
func countOf(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// startGroup reads "[NAME] " inside a section.
func (p *classicParser) startGroup(level int, body string) {
	end := strings.IndexByte(body, ']')
	switch {
	case end < 0:
		p.fail(level, "", "the group header has no closing %q", "]")
		return
	case p.section == nil:
		if !p.blamed {
			p.fail(level, "", "a group stands before the first section")
		}
		return
	case p.group >= 0 && p.keys == 0:
		p.fail(level, "", "the group above has no keys")
	}
	p.group = -1
	if end == 1 {
		p.r.warn(p.at(level), "", "a group without a name is ignored")
		return
	}
	p.section.body = append(p.section.body, pair{
		key:   node{text: body[1:end], pos: p.at(level)},
		val:   node{shape: option.Map, pos: p.at(level)},
		notes: p.takeNotes(),
	})
	p.group = len(p.section.body) - 1
	p.keys = 0
}
