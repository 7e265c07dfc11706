// Command bench measures what kagari costs, beside Fluent Bit on the same
// machine in the same run, and compares with the targets of DESIGN.md,
// section 10. README.md says how to run it and how to read what it prints.
//
// A [row] is a workload; the rows are a table in rows.go. A [source] makes its
// records, as lines of a file or as a stream for the forward input. The [sink]
// takes what HTTP outputs send and checks that each record arrives exactly once.
// A [program] runs as a child process with a configuration that is the same for
// both, and its CPU time and peak memory are taken when the last record has
// arrived. The [report] is a table and a JSON file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case errors.Is(err, errTargets):
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// errTargets says that a row did not reach its target, which the table shows.
var errTargets = errors.New("not all targets are reached")

// options are the flags.
type options struct {
	bin, fluentBit, rows, json string
	records, runs              int
	timeout                    time.Duration
}

func parseFlags(args []string, errOut io.Writer) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(errOut)
	f.StringVar(&o.bin, "bin", "", "kagari binary (default: build cmd/kagari)")
	f.StringVar(&o.fluentBit, "fluent-bit", "", `Fluent Bit binary, or "off" (default: fluent-bit on PATH)`)
	f.StringVar(&o.rows, "rows", "*", "rows to run, a glob of their names")
	f.IntVar(&o.records, "records", 1_000_000, "records in each run")
	f.IntVar(&o.runs, "runs", 3, "runs of each program and row; the median counts")
	f.StringVar(&o.json, "json", "", "write the results to this file, too")
	f.DurationVar(&o.timeout, "timeout", 5*time.Minute, "longest time for one run")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.records < 1 || o.records > maxRecords:
		return o, fmt.Errorf("--records %d: want 1 to %d", o.records, maxRecords)
	case o.runs < 1:
		return o, fmt.Errorf("--runs %d: want 1 or more", o.runs)
	case o.timeout <= 0:
		return o, fmt.Errorf("--timeout %v: want more than 0", o.timeout)
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, errOut io.Writer) (err error) {
	o, err := parseFlags(args, errOut)
	if err != nil {
		return err
	}
	selected, err := selectRows(o.rows)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "kagari-bench-")
	if err != nil {
		return fmt.Errorf("make temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	if o.bin == "" {
		fmt.Fprintln(errOut, "building kagari")
		if o.bin, err = build(ctx, dir); err != nil {
			return err
		}
	}
	// It runs in other directories than this.
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return fmt.Errorf("find kagari: %w", err)
	}
	ours, err := newProgram(ctx, "kagari", o.bin)
	if err != nil {
		return err
	}
	theirs, err := findFluentBit(ctx, o.fluentBit)
	if err != nil {
		return err
	}
	if theirs == nil {
		fmt.Fprintln(errOut, "no fluent-bit: only kagari is measured, and there are no ratios")
	}

	rep := newReport(o.records, o.runs, ours, theirs)
	rep.Size = ours.size
	b := &bench{dir: dir, records: o.records, timeout: o.timeout, stall: 30 * time.Second}
	for _, r := range selected {
		fmt.Fprintf(errOut, "%s: ", r.name)
		res, err := b.row(ctx, r, theirs, ours, o.runs)
		if err != nil {
			fmt.Fprintln(errOut)
			return err
		}
		fmt.Fprintln(errOut, res.summary())
		rep.Rows = append(rep.Rows, res)
	}
	for _, p := range selectPatterns(o.rows) {
		sp, err := p.measure()
		if err != nil {
			return err
		}
		rep.Speeds = append(rep.Speeds, sp)
	}
	fmt.Fprintln(errOut)
	if err := rep.table(out); err != nil {
		return fmt.Errorf("print table: %w", err)
	}
	if o.json != "" {
		if err := rep.writeJSON(o.json); err != nil {
			return err
		}
	}
	if rep.failed() {
		return errTargets
	}
	return nil
}

// build makes the binary that is measured, as a release is built.
func build(ctx context.Context, dir string) (string, error) {
	name := filepath.Join(dir, "kagari")
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", name,
		"github.com/kagarilog/kagari/cmd/kagari")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build kagari: %w\n%s", err, out)
	}
	return name, nil
}

// findFluentBit returns nil if there is none and none was asked for.
func findFluentBit(ctx context.Context, path string) (*program, error) {
	if path == "off" {
		return nil, nil
	}
	if path == "" {
		found, err := exec.LookPath("fluent-bit")
		if err != nil {
			return nil, nil
		}
		path = found
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find fluent-bit: %w", err)
	}
	return newProgram(ctx, "fluent-bit", path)
}

// row measures both programs in turn. The error is for what makes going on
// useless; what goes wrong with a program becomes a note.
func (b *bench) row(ctx context.Context, r row, theirs, ours *program, runs int) (*result, error) {
	res := &result{Name: r.name, Title: r.title, Target: r.target(), row: r}
	if err := b.accepts(ctx, ours, r); err != nil {
		note := fmt.Sprintf("kagari refuses the configuration: %v", err)
		res.Status = failed
		if r.needs != "" {
			res.Status, note = notYet, fmt.Sprintf("needs %s: %v", r.needs, err)
		}
		res.Notes = append(res.Notes, note)
		return res, ctx.Err()
	}
	type contestant struct {
		*program
		samples []sample
		out     bool // it failed and does not run again
	}
	contestants := []*contestant{{program: theirs}, {program: ours}}
	for range runs {
		for _, c := range contestants {
			if c.program == nil || c.out {
				continue
			}
			s, err := b.measure(ctx, c.program, r)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				c.out = true
				res.Notes = append(res.Notes, fmt.Sprintf("%s: %v", c.name, err))
			}
			if err == nil || s.Missing > 0 {
				c.samples = append(c.samples, s)
			}
		}
	}
	res.Theirs, res.Ours = newMeasured(contestants[0].samples), newMeasured(contestants[1].samples)
	res.judge()
	if contestants[1].out {
		res.Status = failed
	}
	return res, nil
}
