package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/parser"
	"github.com/kagarilog/kagari/parser/multiline"
	"github.com/kagarilog/kagari/pipetest"
)

const parseLong = `Try a parser on lines: which of them fit, what becomes of each as a field, of
which type it is, and which time is read. Of a line that does not fit it tells
how far the expression comes and what in it does not fit any more:

  $ echo '2026-01-31 (warn) slow' | kagari parse --regex '^(?<day>\S+) \[(?<level>\w+)\]'
     1 no match 2026-01-31 (warn) slow
                ~~~~~~~~~~~^
         up to column 11 it fits: ^(?<day>\S+)
         then it does not:        \[(?<level>\w+)\]

Parsers come from the configuration (-c), from parsers files (-R), from the
command line (--regex), or are built in (--list). Without any of them all
parsers are tried, and it is told how many lines each of them fits.

With --multiline it shows which lines are joined to one record.

The command ends with 0 if all lines fit, with 1 if one does not, and with 2 if
the command line is wrong.`

func (p *program) parseCommand() *cobra.Command {
	var t parseTrial
	cmd := &cobra.Command{
		Use:   "parse [flags] [FILE...|-]",
		Short: "Try a parser on lines",
		Long:  parseLong,
		Example: `  kagari parse --parser nginx access.log
  kagari parse -R parsers.conf --parser app --failed-only app.log
  tail -n 100 app.log | kagari parse -c fluent-bit.conf --parser app
  kagari parse --regex '^(?<level>\w+) (?<msg>.*)$' app.log
  kagari parse --multiline java app.log
  kagari parse unknown.log                 # which parser fits?`,
		RunE: func(_ *cobra.Command, files []string) error { return t.run(p, files) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&t.name, "parser", "p", "", "`NAME` of the parser")
	f.StringVarP(&t.config, "config", "c", "", "take the parsers of this configuration `FILE`")
	f.StringArrayVarP(&t.parsersFiles, "parsers", "R", nil, "take the parsers of this parsers `FILE`; may be repeated")
	f.StringVar(&t.regex, "regex", "", "try this `PATTERN` instead")
	f.StringVar(&t.timeKey, "time-key", "", "with --regex: `FIELD` that holds the time")
	f.StringVar(&t.timeFormat, "time-format", "", "with --regex: `LAYOUT` of the time, such as '%d/%b/%Y:%H:%M:%S %z'")
	f.StringVar(&t.types, "types", "", "with --regex: types of fields, such as 'code:integer size:integer'")
	f.StringArrayVar(&t.multiline, "multiline", nil, "join lines with the multiline parser of this `NAME`; may be repeated")
	f.BoolVar(&t.failedOnly, "failed-only", false, "show only lines that do not fit, or whose time cannot be read")
	f.BoolVar(&t.json, "json", false, "print a JSON object for each line")
	f.BoolVar(&t.list, "list", false, "list the parsers that there are")
	complete := func(names func() []string) cobra.CompletionFunc {
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return names(), cobra.ShellCompDirectiveNoFileComp
		}
	}
	_ = cmd.RegisterFlagCompletionFunc("parser", complete(func() []string {
		set, _, _ := t.parsers()
		return set.names()
	}))
	_ = cmd.RegisterFlagCompletionFunc("multiline", complete(func() []string {
		set, _, _ := t.parsers()
		return set.multilineNames()
	}))
	return cmd
}

// parseTrial is the flags of the parse command.
type parseTrial struct {
	name, config               string
	parsersFiles               []string
	regex                      string
	timeKey, timeFormat, types string
	multiline                  []string
	failedOnly, json, list     bool
}

// parserSet is the parsers of files, in their order, and of the program.
type parserSet struct {
	own       []*parser.Parser
	multiline []*multiline.Parser
}

// parsers makes the parsers of the files that were given. The problems are about
// the parsers and, if it cannot be read, the configuration.
func (t *parseTrial) parsers() (*parserSet, *config.Config, option.Problems) {
	var opts config.LoadOptions
	for _, f := range t.parsersFiles {
		opts.Service = append(opts.Service, option.Prop("parsers_file", f))
	}
	cfg, ps := config.NewEmpty(opts)
	if t.config != "" {
		cfg, ps = config.Load(t.config, opts)
	}
	set := &parserSet{}
	for _, sec := range cfg.Parsers {
		made, more := parser.New("", sec.Props, sec.Pos)
		ps = append(ps, more...)
		if made != nil {
			set.own = append(set.own, made)
		}
	}
	for _, sec := range cfg.MultilineParsers {
		made, more := multiline.New(sec.Props, sec.Pos, func(name string) (multiline.LineParser, error) { return set.find(name) })
		ps = append(ps, more...)
		if made != nil {
			set.multiline = append(set.multiline, made)
		}
	}
	cfg.Sources.Place(ps)
	return set, cfg, ps
}

func (s *parserSet) names() []string {
	var out []string
	for _, p := range s.own {
		out = append(out, p.Name())
	}
	for _, name := range parser.BuiltinNames() {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

func (s *parserSet) multilineNames() []string {
	out := multiline.BuiltinNames()
	for _, p := range s.multiline {
		if !slices.Contains(out, p.Name()) {
			out = append(out, p.Name())
		}
	}
	return out
}

func notFound(what, name string, known []string) error {
	err := fmt.Errorf("there is no %s %q; --list shows them all", what, name)
	if hint := option.DidYouMean(name, known); hint != "" {
		err = fmt.Errorf("there is no %s %q; %s", what, name, hint)
	}
	return err
}

func (s *parserSet) find(name string) (*parser.Parser, error) {
	for _, p := range s.own {
		if p.Name() == name {
			return p, nil
		}
	}
	if p := parser.NewBuiltin(name); p != nil {
		return p, nil
	}
	return nil, notFound("parser", name, s.names())
}

func (s *parserSet) findMultiline(name string) (*multiline.Parser, error) {
	if p := multiline.NewBuiltin(strings.ToLower(name)); p != nil {
		return p, nil
	}
	for _, p := range s.multiline {
		if strings.EqualFold(p.Name(), name) {
			return p, nil
		}
	}
	return nil, notFound("multiline parser", name, s.multilineNames())
}

func (t *parseTrial) run(p *program, files []string) error {
	switch {
	case t.regex != "" && t.name != "":
		return errors.New("--parser and --regex exclude each other")
	case t.regex == "" && t.timeKey+t.timeFormat+t.types != "":
		return errors.New("--time-key, --time-format and --types are for --regex")
	case len(t.multiline) > 0 && t.name+t.regex != "":
		return errors.New("--multiline joins lines and parses nothing; leave --parser and --regex away")
	}
	set, cfg, ps := t.parsers()
	if ps.HasErrors() || len(ps) > 0 && t.list {
		config.Render(p.err, ps, cfg.Sources, isTerminal(p.err))
		if ps.HasErrors() {
			return exitError{exitFailed}
		}
	}
	if t.list {
		return t.printList(p, set)
	}
	out := bufio.NewWriter(p.out)
	err := t.try(p, set, out, &lineReader{files: files, in: p.in})
	if flushErr := out.Flush(); err == nil && flushErr != nil {
		err = p.failed(fmt.Errorf("write: %w", flushErr))
	}
	return err
}

func (t *parseTrial) printList(p *program, set *parserSet) error {
	section := func(title string, names []string) {
		if len(names) > 0 {
			fmt.Fprintf(p.out, "%s\n", title)
		}
		for _, n := range names {
			fmt.Fprintf(p.out, "  %s\n", n)
		}
	}
	var own, ownMultiline []string
	for _, made := range set.own {
		own = append(own, made.Name())
	}
	for _, made := range set.multiline {
		ownMultiline = append(ownMultiline, made.Name())
	}
	section("Parsers of the files", own)
	section("Built-in parsers", parser.BuiltinNames())
	section("Multiline parsers of the files", ownMultiline)
	section("Built-in multiline parsers", multiline.BuiltinNames())
	return nil
}

// try reads the lines in the way that the flags ask for.
func (t *parseTrial) try(p *program, set *parserSet, out *bufio.Writer, lines *lineReader) error {
	switch {
	case len(t.multiline) > 0:
		return t.join(p, set, out, lines)
	case t.name != "" || t.regex != "":
		return t.parse(p, set, out, lines)
	}
	return t.tryAll(p, set, out, lines)
}

// inline makes the parser of --regex.
func (t *parseTrial) inline(p *program) (*parser.Parser, error) {
	props := []option.Property{option.Prop("format", "regex"), option.Prop("regex", t.regex)}
	for key, val := range map[string]string{"time_key": t.timeKey, "time_format": t.timeFormat, "types": t.types} {
		if val != "" {
			props = append(props, option.Prop(key, val))
		}
	}
	made, ps := parser.New("the expression", props, option.Pos{})
	if len(ps) > 0 {
		config.Render(p.err, ps, nil, isTerminal(p.err))
	}
	if made == nil {
		return nil, exitError{exitFailed}
	}
	return made, nil
}

func (t *parseTrial) parse(p *program, set *parserSet, out *bufio.Writer, lines *lineReader) error {
	var made *parser.Parser
	var err error
	if t.regex != "" {
		if made, err = t.inline(p); err != nil {
			return err
		}
	} else if made, err = set.find(t.name); err != nil {
		return p.failed(err)
	}
	trial := pipetest.NewTrial(made)
	rep := &pipetest.TrialReporter{W: out, Color: isTerminal(p.out), FailedOnly: t.failedOnly, JSON: t.json, WantsTime: trial.WantsTime()}
	err = lines.each(func(n int, line []byte) {
		rep.Report(n, trial.Read(line))
		if lines.waiting() {
			_ = out.Flush() // somebody may be looking on; an error comes up again
		}
	})
	if err != nil {
		return p.failed(err)
	}
	rep.Summary(trial.Name())
	if rep.Failed() > 0 {
		return exitError{exitFailed}
	}
	return nil
}

func (t *parseTrial) join(p *program, set *parserSet, out *bufio.Writer, lines *lineReader) error {
	var made []*multiline.Parser
	for _, name := range t.multiline {
		m, err := set.findMultiline(name)
		if err != nil {
			return p.failed(err)
		}
		made = append(made, m)
	}
	join, err := pipetest.NewJoin(made)
	if err != nil {
		return p.failed(err)
	}
	rep := &pipetest.JoinReporter{W: out, Color: isTerminal(p.out), JSON: t.json}
	count := 0
	err = lines.each(func(_ int, line []byte) {
		count++
		rep.Report(join.Line(line))
	})
	if err != nil {
		return p.failed(err)
	}
	rep.Report(join.End())
	rep.Summary(count)
	return nil
}

// tryAll tells which parsers fit how many lines.
func (t *parseTrial) tryAll(p *program, set *parserSet, out *bufio.Writer, lines *lineReader) error {
	type candidate struct {
		trial       *pipetest.Trial
		fits, timed int
	}
	var all []*candidate
	for _, name := range set.names() {
		made, err := set.find(name)
		if err != nil {
			return p.failed(err)
		}
		all = append(all, &candidate{trial: pipetest.NewTrial(made)})
	}
	count := 0
	err := lines.each(func(_ int, line []byte) {
		count++
		for _, c := range all {
			fits, timed := c.trial.Means(line)
			if fits {
				c.fits++
			}
			if timed {
				c.timed++
			}
		}
	})
	if err != nil {
		return p.failed(err)
	}
	slices.SortStableFunc(all, func(a, b *candidate) int { return cmp.Or(b.fits-a.fits, b.timed-a.timed) })
	some := false
	for _, c := range all {
		if c.fits == 0 {
			break
		}
		some = true
		fmt.Fprintf(out, "%-24s fits %d of %d lines, and reads the time of %d\n", c.trial.Name(), c.fits, count, c.timed)
	}
	if !some {
		fmt.Fprintf(out, "none of %d parsers fits any of %d lines\n", len(all), count)
		return exitError{exitFailed}
	}
	if all[0].fits < count {
		return exitError{exitFailed}
	}
	return nil
}

// lineReader reads the lines of files, or of the standard input.
type lineReader struct {
	files []string
	in    io.Reader
	r     *bufio.Reader
	name  string // of the file at hand, - for the standard input
	done  bool   // set to stop behind the line at hand
}

// maxLine is the longest line that is read as one.
const maxLine = 1 << 20

// waiting tells whether the next line has to be waited for.
func (l *lineReader) waiting() bool { return l.r.Buffered() == 0 }

// each calls f for every line with its number, which counts on from file to
// file. The line is valid until f returns.
func (l *lineReader) each(f func(n int, line []byte)) error {
	files := l.files
	if len(files) == 0 {
		files = []string{"-"}
	}
	n := 0
	for _, name := range files {
		if err := l.file(name, &n, f); err != nil || l.done {
			return err
		}
	}
	return nil
}

func (l *lineReader) file(name string, n *int, f func(n int, line []byte)) error {
	in := l.in
	l.name = name
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("read lines: %w", err)
		}
		defer file.Close()
		in = file
	}
	l.r = bufio.NewReaderSize(in, maxLine)
	for {
		line, err := l.r.ReadSlice('\n')
		if len(line) > 0 {
			*n++
			line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
			f(*n, line)
		}
		switch {
		case l.done || errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("read lines: line %d is longer than %d bytes", *n, maxLine)
		case err != nil:
			return fmt.Errorf("read lines: %w", err)
		}
	}
}
