package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kagarilog/kagari/builtin"
	"github.com/kagarilog/kagari/pipetest"
)

const testLong = `Test a configuration: feed records or lines into its inputs and compare what
arrives at its outputs with what a test file expects.

The real configuration is run, with its parsers, filters, processors, stream
tasks and routing. Only its ends are replaced: inputs take what the test gives,
outputs keep what they are sent. No port is opened, no destination is called,
and no log file or database of the configuration is touched.

A test file stands beside the configuration. For fluent-bit.conf it is
fluent-bit.test.yaml:

  tests:
    - name: errors go to the pager, without the noise
      env: {REGION: eu}
      inputs:
        - input: tail.0              # alias or name of an input
          path: /var/log/app.log     # of the file that the lines are from
          lines: |
            {"level":"error","msg":"disk full"}
            {"level":"debug","msg":"tick"}
        - tag: app.web               # or straight to the filters
          records:
            - {level: error, msg: boom}
      expect:
        pager:                       # alias or name of an output: exactly these
          - {level: error, msg: disk full, region: eu}
          - {level: error, msg: boom, region: eu}
        archive:
          count: 3
          contains:                  # among others, and at least these fields
            - {msg: tick}
          where:                     # every record
            level: {in: [error, debug]}
            password: {absent: true}
        stdout.2: nothing

docs/testing.md explains all of it. The command ends with 0 if all tests pass,
with 1 if one does not, and with 2 if the command line is wrong.`

func (p *program) testCommand() *cobra.Command {
	var t tester
	cmd := &cobra.Command{
		Use:   "test [flags] [FILE|DIR...]",
		Short: "Run the tests of a configuration",
		Long:  testLong,
		Example: `  kagari test fluent-bit.test.yaml
  kagari test -c fluent-bit.conf           # the tests beside it
  kagari test .                            # all tests below a directory
  kagari test --run 'errors' -v .
  kagari test --junit report.xml .         # for CI
  kagari test --update fluent-bit.test.yaml`,
		RunE: func(_ *cobra.Command, args []string) error { return t.run(p, args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&t.config, "config", "c", "", "test this configuration `FILE`; without arguments, by the tests beside it")
	f.StringVar(&t.only, "run", "", "run only tests whose name this `REGEX` matches")
	f.BoolVarP(&t.verbose, "verbose", "v", false, "show what arrives, also of tests that pass")
	f.StringVarP(&t.format, "output", "o", "text", "`FORMAT` of the results: text or json")
	f.StringVar(&t.junit, "junit", "", "also write the results to a `FILE` in JUnit's XML form")
	f.BoolVar(&t.update, "update", false, "write what arrives into the test files as what is expected")
	f.DurationVar(&t.timeout, "timeout", 0, "`TIME` that a test may take, where the file does not say (default 10s)")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
	}
	return cmd
}

// tester is the flags of the test command.
type tester struct {
	config, only, format, junit string
	verbose, update             bool
	timeout                     time.Duration
}

// files returns the test files that the arguments name.
func (t *tester) files(args []string) ([]string, error) {
	if len(args) > 0 {
		return pipetest.Find(args)
	}
	if t.config == "" {
		return nil, nil
	}
	files := pipetest.TestsOf(t.config)
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no test file beside %s; it would be called %s", t.config, pipetest.NameFor(t.config))
	}
	return files, nil
}

func (t *tester) run(p *program, args []string) error {
	if t.format != "text" && t.format != "json" {
		return fmt.Errorf("--output is %q, but must be text or json", t.format)
	}
	var only *regexp.Regexp
	if t.only != "" {
		var err error
		if only, err = regexp.Compile(t.only); err != nil {
			return fmt.Errorf("--run: %w", err)
		}
	}
	if len(args) == 0 && t.config == "" {
		return fmt.Errorf("test needs a test file or directory, or a configuration with -c")
	}
	files, err := t.files(args)
	if err != nil {
		return p.failed(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	report := &pipetest.Reporter{W: p.out, Color: isTerminal(p.out), Verbose: t.verbose}
	var outcomes []pipetest.Outcome
	ran, failed := 0, false
	for _, path := range files {
		f, src, ps := pipetest.ReadFile(path, t.config, t.timeout)
		out := pipetest.Outcome{Path: path, Sources: src}
		if f == nil {
			ran, failed = ran+1, true
			out.Problems = ps
			if t.format == "text" {
				report.Refused(path, src, ps)
			}
			outcomes = append(outcomes, out)
			continue
		}
		for _, test := range f.Tests {
			if only != nil && !only.MatchString(test.Name) {
				continue
			}
			if ctx.Err() != nil {
				return p.failed(fmt.Errorf("interrupted"))
			}
			ran++
			res := pipetest.Run(ctx, test, builtin.Registry())
			out.Results = append(out.Results, res)
			failed = failed || !res.Passed()
			if t.format == "text" && !t.update {
				report.Report(f, res)
			}
		}
		outcomes = append(outcomes, out)
		if t.update {
			if err := p.updateTests(f, out.Results); err != nil {
				return p.failed(err)
			}
		}
	}
	if ran == 0 {
		return p.failed(fmt.Errorf("no test has a name that %q matches", t.only))
	}
	if t.junit != "" {
		if err := writeJUnit(t.junit, outcomes); err != nil {
			return p.failed(err)
		}
	}
	if t.update {
		return p.afterUpdate(outcomes)
	}
	if t.format == "json" {
		err = pipetest.WriteJSON(p.out, outcomes)
	} else {
		report.Summary()
	}
	if err != nil {
		return p.failed(err)
	}
	if failed {
		return exitError{exitFailed}
	}
	return nil
}

// updateTests writes what has arrived into a test file and tells what of it is
// left to be done by hand.
func (p *program) updateTests(f *pipetest.File, results []*pipetest.Result) error {
	changed, left, err := pipetest.Update(f, results)
	if err != nil {
		return err
	}
	switch changed {
	case 0:
		fmt.Fprintf(p.out, "%s: nothing changed\n", f.Path)
	case 1:
		fmt.Fprintf(p.out, "%s: 1 test was updated; look at the difference before you keep it\n", f.Path)
	default:
		fmt.Fprintf(p.out, "%s: %d tests were updated; look at the difference before you keep it\n", f.Path, changed)
	}
	for _, l := range left {
		what := fmt.Sprintf("%q", l.Test.Name)
		if l.Output != "" {
			what += ", " + l.Output
		}
		fmt.Fprintf(p.out, "  %s: %s\n", what, l.Why)
		for _, line := range l.Snippet {
			fmt.Fprintf(p.out, "    %s\n", line)
		}
		p.code = exitFailed
	}
	return nil
}

// afterUpdate tells which tests could not be run.
func (p *program) afterUpdate(outcomes []pipetest.Outcome) error {
	for _, o := range outcomes {
		if o.Problems.HasErrors() {
			p.code = exitFailed
		}
		for _, res := range o.Results {
			if res.Err != nil {
				fmt.Fprintf(p.out, "%s: %q could not be run: %v\n", o.Path, res.Test.Name, res.Err)
				p.code = exitFailed
			}
		}
	}
	return nil
}

func writeJUnit(path string, outcomes []pipetest.Outcome) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create JUnit report: %w", err)
	}
	err = pipetest.WriteJUnit(f, outcomes)
	if closeErr := f.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("write JUnit report: %w", closeErr)
	}
	return err
}
