package config

import (
	"strings"
	"unicode/utf8"

	"github.com/kagarilog/kagari/option"
)

// Place moves the problems that are in a part of a value to that part. It leaves
// those where they are whose part does not stand in the file as it was read.
func (s *Sources) Place(ps option.Problems) {
	for i := range ps {
		p := &ps[i]
		if p.Within == "" {
			continue
		}
		if pos, ok := s.Find(p.Pos, p.Within, p.Offset); ok {
			p.Pos = pos
		}
		p.Within, p.Offset = "", 0
	}
}

// findLines is how many lines of a file a text is looked for in.
const findLines = 2000

// Find returns the place in a file that an offset in a text was read from, if
// the value that the text is in begins at from. YAML may have folded the lines
// of the text.
func (s *Sources) Find(from option.Pos, text string, offset int) (option.Pos, bool) {
	start := strings.LastIndexByte(text[:offset], '\n') + 1
	line, _, _ := strings.Cut(text[start:], "\n")
	line = strings.TrimRight(line, " \r\t")
	within := min(offset-start, len(line))
	number := strings.Count(text[:start], "\n")
	// The whole line of the text, or of a folded one what is around the place.
	for _, width := range []int{len(line), 40, 15, 0} {
		a, z := max(within-width, 0), min(within+width, len(line))
		if width == 0 { // The word alone.
			z = within + len(strings.SplitN(line[within:]+" ", " ", 2)[0])
		}
		piece := line[a:z]
		if piece == "" || width == 0 && strings.Count(text, piece) > 1 {
			continue
		}
		if pos, ok := s.find(from, piece, number); ok {
			pos.Col += utf8.RuneCountInString(piece[:within-a])
			return pos, true
		}
	}
	return from, false
}

// find looks for a piece of a value that begins at from: first in the line
// with the number, for which the value counts as a block, then in all of its
// lines.
func (s *Sources) find(from option.Pos, piece string, number int) (option.Pos, bool) {
	first, ok := s.Line(from)
	if !ok {
		return from, false
	}
	block := strings.HasPrefix(first[min(max(from.Col-1, 0), len(first)):], "|")
	depth := len(first) - len(strings.TrimLeft(first, " \t-"))
	if pos := from; block {
		pos.Line, pos.Col = from.Line+1+number, 1
		if line, ok := s.Line(pos); ok && within(line, piece, &pos) {
			return pos, true
		}
	}
	for pos := from; pos.Line < from.Line+findLines; pos.Line, pos.Col = pos.Line+1, 1 {
		line, ok := s.Line(pos)
		if !ok || pos.Line > from.Line && indented(line) < depth+1 && strings.TrimSpace(line) != "" {
			break // the value has ended
		}
		if within(line, piece, &pos) {
			return pos, true
		}
	}
	return from, false
}

// within looks for piece in the line of pos, from its column on, and moves pos
// there.
func within(line, piece string, pos *option.Pos) bool {
	skip := 0
	for n := 1; n < pos.Col && skip < len(line); n++ {
		_, size := utf8.DecodeRuneInString(line[skip:])
		skip += size
	}
	at := strings.Index(line[skip:], piece)
	if at >= 0 {
		pos.Col = utf8.RuneCountInString(line[:skip+at]) + 1
	}
	return at >= 0
}

// indented is how many bytes a line is indented.
func indented(line string) int {
	return len(line) - len(strings.TrimLeft(line, " \t"))
}

// Where returns the property that a mistake which New of the plugin found is
// about: the option with the key, by any of its names, and of several the one
// with the text.
func (i *Instance) Where(own []option.Field, key, text string) (option.Property, bool) {
	var found option.Property
	ok, want := false, fieldOf(own, key)
	for _, p := range i.flatProps() {
		if !strings.EqualFold(p.Key, key) && (want == nil || fieldOf(own, p.Key) != want) {
			continue
		}
		if !ok || !strings.Contains(found.Value.Text, text) && strings.Contains(p.Value.Text, text) {
			found, ok = p, true
		}
	}
	return found, ok
}

// WhereText returns the first property whose value is the text, or begins with
// it as a word.
func (i *Instance) WhereText(text string) (option.Property, bool) {
	for _, p := range i.flatProps() {
		if rest, ok := strings.CutPrefix(p.Value.Text, text); ok && (rest == "" || rest[0] == ' ') {
			return p, true
		}
	}
	return option.Property{}, false
}
