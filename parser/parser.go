package parser

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
)

// Parser turns text of one format into records.
type Parser struct {
	spec     Spec
	format   format
	time     *timeField // nil when times are not read
	types    typeTable
	decoders decoders
	decodes  bool // the format decodes by itself
	builtin  bool
	log      *slog.Logger
	unfit    atomic.Uint64
	badTimes atomic.Uint64
	badTypes atomic.Uint64
	givenUp  atomic.Uint64
}

// format is the syntax of a parser. parse does what [Parser.Parse] does.
type format interface {
	parse(line []byte, e *event.Event) bool
}

// formats makes a format for a parser whose spec and time are set. Problems
// are about the options that the format alone uses.
var formats = map[string]func(p *Parser) (format, []problem){
	"json":   newJSON,
	"logfmt": newLogfmt,
	"ltsv":   newLTSV,
	"regex":  newRegex,
}

func formatNames() []string { return slices.Sorted(maps.Keys(formats)) }

// problem is a finding about one option.
type problem struct {
	key      string
	severity option.Severity
	message  string
	err      error      // which may know the place in the option's text, or nil
	pos      option.Pos // if the option may stand in several places
}

// New makes the parser of a [PARSER] section from its properties. name is the
// parser's name if props hold none. pos is where the section starts. The
// parser is nil if one of the problems is an error.
func New(name string, props []option.Property, pos option.Pos) (*Parser, option.Problems) {
	p := &Parser{log: slog.New(slog.DiscardHandler)}
	ps := p.spec.decode(name, props, pos)
	if ps.HasErrors() {
		return nil, ps
	}
	section := "parser " + p.spec.Name
	report := func(found ...problem) {
		for _, f := range found {
			at := pos
			if f.pos != (option.Pos{}) {
				at = f.pos
			} else if i := slices.IndexFunc(props, func(q option.Property) bool { return strings.EqualFold(q.Key, f.key) }); i >= 0 {
				if at = props[i].Value.Pos; at == (option.Pos{}) {
					at = props[i].Pos
				}
			}
			problem := option.Problem{Severity: f.severity, Pos: at, Section: section, Key: f.key, Message: f.message}
			problem.PlaceIn(f.err)
			ps = append(ps, problem)
		}
	}
	var found []problem
	p.time, found = newTimeField(&p.spec)
	report(found...)
	p.types, found = newTypes(p.spec.Types)
	report(found...)
	makeFormat := formats[strings.ToLower(p.spec.Format)]
	if makeFormat == nil {
		report(problem{key: "format", severity: option.Error, message: fmt.Sprintf("format %q is not one of %s", p.spec.Format, strings.Join(formatNames(), ", "))})
		return nil, ps
	}
	p.decoders, found = newDecoders(p.spec.Decoders)
	report(found...)
	p.format, found = makeFormat(p)
	report(found...)
	if ps.HasErrors() {
		return nil, ps
	}
	return p, ps
}

// Name is the name that inputs and filters refer to.
func (p *Parser) Name() string { return p.spec.Name }

// Spec returns the options that the parser was made from.
func (p *Parser) Spec() Spec { return p.spec }

// Builtin tells whether p comes from [NewBuiltin] and not from a configuration.
func (p *Parser) Builtin() bool { return p.builtin }

// SetLog says where p reports times that do not fit. It limits the rate of
// equal messages. Call it before the first Parse.
func (p *Parser) SetLog(log *slog.Logger) { p.log = log }

// Unfit is the number of lines so far that did not fit. Who parses them says in
// the log what becomes of them.
func (p *Parser) Unfit() uint64 { return p.unfit.Load() }

// BadTimes is the number of lines so far whose time did not fit.
func (p *Parser) BadTimes() uint64 { return p.badTimes.Load() }

// Parse sets the record of e, and its time if the text has one other than 0,
// and tells whether the text fits; if not, e is as it was. It may alias line,
// which must stay unchanged as long as e's batch lives.
func (p *Parser) Parse(line []byte, e *event.Event) bool {
	if !p.format.parse(line, e) {
		p.unfit.Add(1)
		return false
	}
	if p.decoders != nil && !p.decodes {
		e.SetRecord(p.decoders.decode(e.Batch(), e.Record()))
	}
	return true
}

// GivenUp is the number of lines so far that an expression was not matched with
// to the end, because that took too many steps. They count as not fitting.
func (p *Parser) GivenUp() uint64 { return p.givenUp.Load() }

// BadTypes is the number of values so far that Types asks to be a truth value
// and that stayed text because they are none.
func (p *Parser) BadTypes() uint64 { return p.badTypes.Load() }

// show is how many bytes of a line a message quotes at most.
const show = 128

// misfit reports that the time of a line could not be read.
func (p *Parser) misfit(text []byte, err error) {
	p.badTimes.Add(1)
	p.log.Warn("cannot read the time of a line", "parser", p.spec.Name, "time", string(text[:min(len(text), show)]),
		"time_format", p.spec.TimeFormat, "error", err)
}

// badType reports that a value stays text.
func (p *Parser) badType(text []byte) {
	p.badTypes.Add(1)
	p.log.Warn("a value is neither true nor false and stays text", "parser", p.spec.Name, "value", string(text[:min(len(text), show)]))
}

// giveUp reports a line that would take too long.
func (p *Parser) giveUp(line []byte, err error) {
	p.givenUp.Add(1)
	p.log.Warn("cannot match a line with the expression", "parser", p.spec.Name, "line", string(line[:min(len(line), show)]), "error", err)
}
