package config

import (
	"slices"
	"strings"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// Keys of parsers; other keys are ignored by Fluent Bit.
var (
	parserKeys = []string{"name", "format", "regex", "skip_empty_values", "time_key", "time_format", "time_keep",
		"time_strict", "time_offset", "time_zone", "time_system_timezone", "logfmt_no_bare_keys", "types",
		"decode_field", "decode_field_as"}
	multilineKeys = []string{"name", "type", "match_string", "negate", "parser", "key_content", "key_pattern",
		"key_group", "flush_timeout", "rule"}
	parserFormats  = []string{"json", "regex", "ltsv", "logfmt"}
	multilineTypes = []string{"regex", "endswith", "equal", "eq"}
)

// loadParsers takes the parsers of a tree; main says that it is the main file.
func (l *loader) loadParsers(tree *Tree, main bool) {
	for _, s := range tree.sections {
		if s.kind == kindParser && l.allowed(tree, s, main) {
			l.parser(s)
		}
	}
	for _, s := range tree.sections {
		if s.kind == kindMultilineParser && l.allowed(tree, s, main) {
			l.multilineParser(s)
		}
	}
}

// allowed tells whether a parser may stand in this file. Fluent Bit refuses it
// in a classic main file, by the whole name only.
func (l *loader) allowed(tree *Tree, s *section, main bool) bool {
	if !main || tree.Format == YAML ||
		!strings.EqualFold(s.name, "parser") && !strings.EqualFold(s.name, "multiline_parser") {
		return true
	}
	l.fail(s.pos, "move it to a file of its own and name that in parsers_file of [SERVICE]",
		"the section [%s] is not allowed in the main file", s.name)
	return false
}

// parsersFile reads a file of parsers.
func (l *loader) parsersFile(path string, at option.Pos) {
	tree := l.readOther(path, at, "parsers file")
	l.loadParsers(tree, false)
	for _, s := range tree.sections {
		if s.kind == kindParser || s.kind == kindMultilineParser {
			continue
		}
		fix := option.DidYouMean(s.name, []string{"PARSER", "MULTILINE_PARSER"})
		l.warn(s.pos, fix, "only parsers are read from a parsers file; the section %q is ignored", s.name)
	}
}

// parserSection expands the texts of a section and warns about unknown keys.
// Of a repeated key the first counts.
func (l *loader) parserSection(s *section, name string, keys []string) *plugin.Section {
	out := &plugin.Section{Name: name, Pos: s.pos}
	given := map[string]bool{}
	for _, p := range s.body {
		key := canonical(p.key.text, keys)
		repeats := key == "rule" || key == "decode_field" || key == "decode_field_as"
		switch {
		case p.val.shape == option.Map:
			l.warn(p.key.pos, "", "the group %q is ignored", p.key.text)
			continue
		case key == "":
			l.warn(p.key.pos, option.DidYouMean(p.key.text, keys), "the key %q is not known and is ignored", p.key.text)
			continue
		case given[key] && !repeats:
			l.warn(p.key.pos, "", "the key %q is given more than once; the first counts", p.key.text)
			continue
		}
		given[key] = true
		v := rawValue(p.val)
		if !repeats {
			v.Text = l.expanded(v.Text, v.Pos)
		}
		if v.Text == "" && v.Shape == option.Scalar {
			continue // counts as not given
		}
		out.Props = append(out.Props, option.Property{Key: key, Value: v, Pos: p.key.pos})
	}
	return out
}

func propText(props []option.Property, key string) (string, option.Pos, bool) {
	for _, p := range props {
		if p.Key == key {
			return p.Value.Text, p.Value.Pos, true
		}
	}
	return "", option.Pos{}, false
}

func (l *loader) parser(s *section) {
	out := l.parserSection(s, "parser", parserKeys)
	name, at, ok := propText(out.Props, "name")
	if !ok {
		l.fail(s.pos, "", "the parser has no name")
		return
	}
	if first, dup := l.parsers[name]; dup {
		l.fail(at, "", "the parser %q is defined twice; it is defined at %s already", name, first)
		return
	}
	l.parsers[name] = at
	format, at, ok := propText(out.Props, "format")
	switch {
	case !ok:
		l.fail(s.pos, "", "the parser %q has no format; use %s", name, strings.Join(parserFormats, ", "))
		return
	case canonical(format, parserFormats) == "":
		l.fail(at, option.DidYouMean(format, parserFormats), "the format %q of parser %q is not one of %s",
			format, name, strings.Join(parserFormats, ", "))
		return
	case strings.EqualFold(format, "regex"):
		if _, _, ok := propText(out.Props, "regex"); !ok {
			l.fail(s.pos, "", "the parser %q has no regex", name)
			return
		}
	}
	l.cfg.Parsers = append(l.cfg.Parsers, out)
}

// multilineParser takes a multiline parser. Its rules are made alike for both
// formats: properties "rule" whose values are lists of the state, the pattern
// and, if given, the next state.
func (l *loader) multilineParser(s *section) {
	plain := &section{name: s.name, pos: s.pos}
	var rules []option.Property
	for _, p := range s.body {
		switch {
		case p.val.shape == option.List: // rules of YAML
			for _, item := range p.val.items {
				rules = l.ruleMap(rules, item, p.key.pos)
			}
		case p.val.shape == option.Map: // any group is a rule
			rules = l.ruleMap(rules, p.val, p.key.pos)
		default:
			plain.body = append(plain.body, p)
		}
	}
	out := l.parserSection(plain, "multiline_parser", multilineKeys)
	kept := out.Props[:0]
	for _, p := range out.Props {
		if p.Key != "rule" {
			kept = append(kept, p)
			continue
		}
		words := splitWords(p.Value.Text, 3)
		if len(words) < 2 {
			l.fail(p.Value.Pos, `write rule "state" "/regex/" "next state"`, "the rule needs a state and a pattern")
			continue
		}
		v := option.Value{Shape: option.List, Pos: p.Value.Pos}
		for _, w := range words[:min(len(words), 3)] {
			at := p.Value.Pos
			if at.Col > 0 {
				at.Col += w.at
			}
			v.Items = append(v.Items, option.Value{Text: w.text, Pos: at})
		}
		rules = append(rules, option.Property{Key: "rule", Value: v, Pos: p.Pos})
	}
	out.Props = slices.Concat(kept, rules)
	name, _, ok := propText(out.Props, "name")
	if !ok {
		l.fail(s.pos, "", "the multiline parser has no name")
		return
	}
	typ, at, ok := propText(out.Props, "type")
	switch {
	case !ok:
		l.fail(s.pos, "", "the multiline parser %q has no type; use %s", name, strings.Join(multilineTypes, ", "))
		return
	case canonical(typ, multilineTypes) == "":
		l.fail(at, option.DidYouMean(typ, multilineTypes), "the type %q of multiline parser %q is not one of %s",
			typ, name, strings.Join(multilineTypes, ", "))
		return
	}
	l.cfg.MultilineParsers = append(l.cfg.MultilineParsers, out)
}

// ruleMap turns {state, regex, next_state} into a rule.
func (l *loader) ruleMap(rules []option.Property, n node, at option.Pos) []option.Property {
	v := option.Value{Shape: option.List, Pos: n.pos}
	for _, key := range []string{"state", "regex", "next_state"} {
		p, ok := n.get(key)
		if !ok {
			l.fail(n.pos, "", "the rule has no %s", key)
			return rules
		}
		v.Items = append(v.Items, option.Value{Text: p.val.text, Pos: p.val.pos})
	}
	for _, p := range n.pairs {
		if canonical(p.key.text, []string{"state", "regex", "next_state"}) == "" {
			l.warn(p.key.pos, option.DidYouMean(p.key.text, []string{"state", "regex", "next_state"}),
				"%q has no meaning in a rule", p.key.text)
		}
	}
	return append(rules, option.Property{Key: "rule", Value: v, Pos: at})
}

// word is a word of a rule and where in the rule its text starts.
type word struct {
	text string
	at   int
}

// splitWords splits at blanks, at most limit times, as Fluent Bit splits the
// rules of multiline parsers: double quotes keep blanks together, and inside
// them only \" is an escape, so that a regular expression needs no doubling.
func splitWords(s string, limit int) []word {
	var words []word
	rest := s
	// next skips blanks and returns where the next word starts.
	next := func() int {
		rest = strings.TrimLeft(rest, " ")
		return len(s) - len(rest)
	}
	for len(words) < limit {
		at := next()
		if rest == "" {
			return words
		}
		if rest[0] != '"' {
			var text string
			text, rest, _ = strings.Cut(rest, " ")
			words = append(words, word{text, at})
			continue
		}
		end := 1
		for end < len(rest) && (rest[end] != '"' || rest[end-1] == '\\') {
			end++
		}
		words = append(words, word{strings.ReplaceAll(rest[1:end], `\"`, `"`), at + 1})
		rest = rest[min(end+1, len(rest)):]
	}
	if at := next(); rest != "" {
		words = append(words, word{rest, at})
	}
	return words
}
