package parser

import (
	"errors"
	"fmt"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/regex"
)

// regexFormat is Format regex: each named group of the expression is a field.
// Fields stand in the order in which their names first occur in the expression.
// The time is left out of the record even when it does not fit the layout.
type regexFormat struct {
	parser    *Parser
	re        *regex.Regexp
	groups    []group
	header    []byte // of a map with all groups
	fixed     int    // how long a record is beside the text of its values, at most
	skipEmpty bool
}

// group is a named group of the expression.
type group struct {
	key  []byte // the name as an encoded string
	at   int    // where the offsets of the group are in what a search returns
	typ  valueType
	time *timeField // not nil if the group is the time
}

// commonGroups is how many groups, the whole match included, a search finds
// room for on the stack.
const commonGroups = 32

func newRegex(p *Parser) (format, []problem) {
	if p.spec.Regex == "" {
		return nil, []problem{{key: "regex", severity: option.Error, message: "format regex needs the option \"regex\""}}
	}
	re, err := regex.Compile(p.spec.Regex)
	if err != nil {
		bad := problem{key: "regex", severity: option.Error, message: fmt.Sprintf("option \"regex\": %v", err)}
		if syntax := (*regex.SyntaxError)(nil); errors.As(err, &syntax) {
			bad.err = err
			bad.message = fmt.Sprintf("option \"regex\": %s at byte %d", syntax.Msg, syntax.Offset)
		}
		return nil, []problem{bad}
	}
	r := &regexFormat{parser: p, re: re, skipEmpty: p.spec.SkipEmptyValues}
	names := re.Names()
	seen := map[string]bool{}
	for _, name := range names {
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		for i, other := range names {
			if other != name {
				continue
			}
			g := group{key: event.AppendString(nil, name), at: 2 * i, typ: p.types.of(name)}
			if p.time != nil && p.time.key == name {
				g.time = p.time
			}
			r.groups = append(r.groups, g)
			r.fixed += len(g.key) + maxValueHead
		}
	}
	r.header = event.AppendMapHeader(nil, len(r.groups))
	r.fixed += len(r.header)
	if len(r.groups) == 0 {
		return r, []problem{{key: "regex", severity: option.Warning, message: "the expression has no named group such as (?<name>…), so that no line fits"}}
	}
	return r, nil
}

func (r *regexFormat) parse(line []byte, e *event.Event) bool {
	var room [2 * commonGroups]int
	caps, ok, err := r.re.FindAt(line, 0, room[:0])
	if !ok {
		if err != nil {
			r.parser.giveUp(line, err)
		}
		return false
	}
	var ns int64
	fields, matched := 0, false
	batch := e.Batch()
	arena := batch.Arena(r.fixed + len(line))
	out := append(arena, r.header...)
	for i := range r.groups {
		g := &r.groups[i]
		from, to := caps[g.at], caps[g.at+1]
		if from >= 0 {
			matched = true
		} else {
			from, to = 0, 0
		}
		if from == to && r.skipEmpty {
			continue
		}
		text := line[from:to]
		if g.time != nil {
			t, err := g.time.read(text)
			if err != nil {
				r.parser.misfit(text, err)
				continue
			}
			ns = t
			if !g.time.keep {
				continue
			}
		}
		fields++
		out = append(out, g.key...)
		if g.typ != typeText {
			out = r.parser.appendTyped(out, g.typ, text)
			continue
		}
		out = appendText(out, text)
	}
	// An expression that matches without any of its named groups does not fit.
	if !matched {
		return false
	}
	if fields != len(r.groups) {
		out = replaceHeader(out, len(arena), len(r.header), fields)
	}
	e.SetRecord(batch.SetArena(out))
	if ns != 0 {
		e.Time = ns
	}
	return true
}

// maxValueHead is the most bytes that a value takes beside its text.
const maxValueHead = 9

// appendText is event.AppendString with the usual case in line.
func appendText(out, text []byte) []byte {
	if len(text) < 32 {
		out = append(out, 0xa0|byte(len(text)))
	} else {
		out = event.AppendStringHeader(out, len(text))
	}
	return append(out, text...)
}
