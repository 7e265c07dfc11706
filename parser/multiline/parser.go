package multiline

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/timefmt"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/regex"
)

// DefaultTimeout is the flush_timeout of parsers that do not say another.
const DefaultTimeout = 4 * time.Second

// LineParser reads a line before it is joined, for the option parser.
type LineParser interface {
	// Parse sets the record of e, and its time if the text has one other than
	// 0, and tells whether the text fits; if not, e is as it was. It may alias
	// line, which must stay unchanged as long as e's batch lives. Safe for
	// concurrent use.
	Parse(line []byte, e *event.Event) bool
}

// Parser says which lines belong together. It is immutable but for its counter,
// and safe for concurrent use.
type Parser struct {
	name       string
	kind       kind
	match      string // what ends a record, of the types endswith and equal
	negate     bool
	keyContent string
	keyPattern string
	keyGroup   string
	line       LineParser // nil if lines are taken as they are
	timeout    time.Duration
	rules      []*rule
	starts     []*rule         // those of rules that may begin a record
	cri        *timefmt.Layout // not nil if scanCRI reads the usual lines, with the result of line
	builtin    bool
	log        *slog.Logger
	givenUp    atomic.Uint64
}

// kind is the type of a parser.
type kind uint8

const (
	kindRegex kind = iota
	kindEndsWith
	kindEqual
)

var kinds = map[string]kind{"regex": kindRegex, "endswith": kindEndsWith, "equal": kindEqual, "eq": kindEqual}

var kindNames = []string{"regex", "endswith", "equal", "eq"}

// Name is the name that inputs and filters refer to.
func (p *Parser) Name() string { return p.name }

// LineParser is what reads the lines before they are joined, or nil.
func (p *Parser) LineParser() LineParser { return p.line }

// Repeats tells whether the last line of a record goes out once more as a record
// of its own, where lines come as records. That is so, as in Fluent Bit, where a
// rule leads to a state from which a record may begin, such as start_state.
func (p *Parser) Repeats() bool {
	return slices.ContainsFunc(p.rules, func(r *rule) bool { return r.ends })
}

// SetLog says where p reports rules that take too many steps. It limits the rate
// of equal messages. Call it before the first line.
func (p *Parser) SetLog(log *slog.Logger) { p.log = log }

// GivenUp is how often so far a line was not matched with a rule to the end,
// because that took too many steps. It counts as not fitting.
func (p *Parser) GivenUp() uint64 { return p.givenUp.Load() }

// Builtin tells whether p comes from [NewBuiltin] and not from a configuration.
func (p *Parser) Builtin() bool { return p.builtin }

// New makes the parser of a [MULTILINE_PARSER] section from its properties.
// Values of the property rule are lists: the states, separated by commas, the
// pattern, and the next state, which may be missing. pos is where the section
// starts, lookup finds the parser that the option parser names. The result is
// nil if one of the problems is an error.
func New(props []option.Property, pos option.Pos, lookup func(name string) (LineParser, error)) (*Parser, option.Problems) {
	d := &definition{Parser: &Parser{timeout: DefaultTimeout, log: slog.New(slog.DiscardHandler)}, pos: pos, lookup: lookup}
	for _, p := range props {
		if strings.EqualFold(p.Key, "name") {
			d.name = p.Value.Text
		}
	}
	d.read(props)
	d.finish()
	if d.ps.HasErrors() {
		return nil, d.ps
	}
	link(d.rules)
	for _, r := range d.rules {
		if r.starts {
			d.starts = append(d.starts, r)
		}
	}
	return d.Parser, d.ps
}

// definition is a Parser while its options are read.
type definition struct {
	*Parser
	pos    option.Pos
	lookup func(name string) (LineParser, error)
	typ    bool // the type was given
	nexts  []option.Value
	ps     option.Problems
}

func (d *definition) report(sev option.Severity, pos option.Pos, key, fix, format string, args ...any) {
	if pos == (option.Pos{}) {
		pos = d.pos
	}
	d.ps = append(d.ps, option.Problem{Severity: sev, Pos: pos, Section: strings.TrimSpace("multiline parser " + d.name), Key: key,
		Message: fmt.Sprintf(format, args...), Fix: fix})
}

// read takes the options. They were given once each, but for the rules.
func (d *definition) read(props []option.Property) {
	for _, p := range props {
		text, at := p.Value.Text, p.Value.Pos
		switch key := strings.ToLower(p.Key); key {
		case "name":
		case "type":
			k, ok := kinds[strings.ToLower(text)]
			if !ok {
				d.report(option.Error, at, key, option.DidYouMean(text, kindNames), "the type %q is not one of %s", text, strings.Join(kindNames, ", "))
			}
			d.kind, d.typ = k, true
		case "match_string":
			d.match = text
		case "negate":
			var err error
			if d.negate, err = option.ParseBool(text); err != nil {
				d.report(option.Warning, at, key, "", "option %q: %v; it counts as false", key, err)
			}
		case "key_content":
			d.keyContent = text
		case "key_pattern":
			d.keyPattern = text
		case "key_group":
			d.keyGroup = text
		case "parser":
			var err error
			if d.line, err = d.lookup(text); err != nil {
				d.line = nil
				d.report(option.Warning, at, key, "", "%v; lines are taken as they are", err)
			}
		case "flush_timeout":
			d.flushTimeout(p)
		case "rule":
			d.rule(p)
		default:
			d.report(option.Warning, p.Pos, p.Key, "", "the key %q is not known and is ignored", p.Key)
		}
	}
}

// flushTimeout reads milliseconds, as leniently as Fluent Bit: what is no
// number counts as the digits it begins with.
func (d *definition) flushTimeout(p option.Property) {
	text := strings.TrimSpace(p.Value.Text)
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	ms, err := strconv.Atoi(text[:digits])
	if err == nil && ms > 0 {
		d.timeout = time.Duration(min(ms, 1<<31-1)) * time.Millisecond
	}
	if err != nil || digits < len(text) || ms <= 0 {
		d.report(option.Warning, p.Value.Pos, "flush_timeout", "", "the flush_timeout %q is not a number of milliseconds above 0 and counts as %d", p.Value.Text, d.timeout.Milliseconds())
	}
}

// rule reads one rule.
func (d *definition) rule(p option.Property) {
	words := p.Value.Items
	if len(words) < 2 {
		d.report(option.Error, p.Value.Pos, "rule", `write rule "state" "/regex/" "next state"`, "the rule needs a state and a pattern")
		return
	}
	r := &rule{}
	for state := range strings.SplitSeq(words[0].Text, ",") {
		if state = strings.Trim(state, " "); state != "" {
			r.from = append(r.from, state)
		}
	}
	r.starts = slices.Contains(r.from, startState)
	switch {
	case len(r.from) == 0:
		d.report(option.Error, words[0].Pos, "rule", "", "the rule has no state")
	case len(d.rules) == 0 && !r.starts:
		d.report(option.Error, words[0].Pos, "rule", option.DidYouMean(r.from[0], []string{startState}),
			"the first rule must be for the state %q", startState)
	}
	var err error
	if r.re, err = regex.Compile(words[1].Text); err != nil {
		d.badPattern(words[1], err)
	}
	next := option.Value{}
	if len(words) > 2 {
		next = words[2]
	}
	r.to = next.Text
	d.rules, d.nexts = append(d.rules, r), append(d.nexts, next)
}

// badPattern reports what is wrong with a pattern, and where in it.
func (d *definition) badPattern(pattern option.Value, err error) {
	message := err.Error()
	if syntax := (*regex.SyntaxError)(nil); errors.As(err, &syntax) {
		message = fmt.Sprintf("%s at byte %d", syntax.Msg, syntax.Offset)
	}
	d.report(option.Error, pattern.Pos, "rule", "", "the pattern %q: %s", pattern.Text, message)
	d.ps[len(d.ps)-1].PlaceIn(err)
}

// finish checks what the options say together.
func (d *definition) finish() {
	if d.name == "" {
		d.report(option.Error, d.pos, "name", "", "the multiline parser has no name")
	}
	switch {
	case !d.typ:
		d.report(option.Error, d.pos, "type", "", "the multiline parser has no type; use %s", strings.Join(kindNames, ", "))
	case d.kind == kindRegex && len(d.rules) == 0:
		d.report(option.Warning, d.pos, "rule", "", "the parser has no rule, so that no line fits")
	case d.kind != kindRegex && d.match == "":
		d.report(option.Error, d.pos, "match_string", "", "the types endswith and equal need the option \"match_string\"")
	case d.kind != kindRegex && len(d.rules) > 0:
		d.report(option.Warning, d.pos, "rule", "", "rules have a meaning for the type regex only and are ignored")
		d.rules = nil
	}
	if d.line != nil && d.keyContent == "" {
		d.report(option.Warning, d.pos, "key_content", "say which field holds the text to join", "with the option \"parser\" and without \"key_content\" no line fits")
	}
	d.checkStates()
}

// checkStates checks that rules lead to states that there are. A state that no
// rule leads to is not worth a word: built-in parsers have some as well.
func (d *definition) checkStates() {
	var states []string
	for _, r := range d.rules {
		states = append(states, r.from...)
	}
	for i, r := range d.rules {
		if r.to != "" && !slices.Contains(states, r.to) {
			d.report(option.Error, d.nexts[i].Pos, "rule", option.DidYouMean(r.to, states), "no rule is for the next state %q", r.to)
		}
	}
}
