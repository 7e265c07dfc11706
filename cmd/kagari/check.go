package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kagarilog/kagari/builtin"
	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/internal/logging"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/pipetest"
)

func (p *program) checkCommand() *cobra.Command {
	var asJSON, strict bool
	var file string
	cmd := &cobra.Command{
		Use:   "check [flags] FILE...",
		Short: "Find all that is wrong with a configuration",
		Long: `Read configuration files and tell all that is wrong with them, not only the
first: errors, for which the router would refuse to start, and warnings about
what it would silently ignore or what cannot work as meant.

It ends with 1 if there are errors, with --strict also if there are warnings.`,
		Example: `  kagari check fluent-bit.conf
  kagari check --json pipeline.yaml`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if file != "" {
				files = append(files, file)
			}
			if len(files) == 0 {
				return fmt.Errorf("check needs a configuration file")
			}
			bad := false
			var all option.Problems
			for _, f := range files {
				cfg, ps := p.checkFile(f)
				all = append(all, ps...)
				bad = bad || ps.HasErrors() || strict && hasWarnings(ps)
				if asJSON {
					continue
				}
				config.Render(p.out, ps, cfg.Sources, isTerminal(p.out))
				if len(ps) == 0 {
					fmt.Fprintf(p.out, "%s: no problems found\n", f)
				}
			}
			if asJSON {
				if err := writeFindings(p.out, all); err != nil {
					return err
				}
			}
			if bad {
				return exitError{exitFailed}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "the `FILE`, as with the root command")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as a JSON array")
	cmd.Flags().BoolVar(&strict, "strict", false, "count warnings as errors")
	return cmd
}

// checkFile loads a configuration and builds the graph, without opening
// anything.
func (p *program) checkFile(file string) (*config.Config, option.Problems) {
	cfg, ps := config.Load(file, config.LoadOptions{})
	reg := builtin.Registry()
	found := cfg.Check(reg)
	ps = append(ps, found...)
	// What only the plugins know, such as options that exclude each other.
	_, more := engine.New(cfg, reg, engine.Options{Handler: logging.NewHandler(io.Discard, logging.LevelOff), Check: true})
	more = withoutRepeats(more, ps)
	return cfg, append(withoutMilder(ps, more), more...)
}

// withoutMilder leaves out warnings about a value that there is an error about,
// too.
func withoutMilder(ps, errors option.Problems) option.Problems {
	type place struct {
		pos option.Pos
		key string
	}
	refused := map[place]bool{}
	for _, p := range errors {
		if p.Severity == option.Error && p.Key != "" {
			refused[place{p.Pos, strings.ToLower(p.Key)}] = true
		}
	}
	return slices.DeleteFunc(ps, func(p option.Problem) bool {
		return p.Severity == option.Warning && refused[place{p.Pos, strings.ToLower(p.Key)}]
	})
}

// withoutRepeats leaves out what was already said at the same place.
func withoutRepeats(ps, said option.Problems) option.Problems {
	type place struct {
		pos      option.Pos
		key, msg string
	}
	seen := map[place]bool{}
	for _, pr := range said {
		seen[place{pr.Pos, pr.Key, pr.Message}] = true
	}
	var out option.Problems
	for _, pr := range ps {
		if !seen[place{pr.Pos, pr.Key, pr.Message}] {
			out = append(out, pr)
		}
	}
	return out
}

// finding is a problem as `--json` prints it.
type finding struct {
	Code      string `json:"code"`
	Severity  string `json:"severity"`
	File      string `json:"file"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	Container string `json:"container"`
	Key       string `json:"key"`
	Message   string `json:"message"`
	Fix       string `json:"fix"`
}

func writeFindings(w io.Writer, ps option.Problems) error {
	out := make([]finding, 0, len(ps))
	for _, pr := range ps {
		out = append(out, finding{Code: pr.Code, Severity: pr.Severity.String(), File: pr.Pos.File, Line: pr.Pos.Line, Column: pr.Pos.Col,
			Key: pr.Key, Message: pr.Message, Fix: pr.Fix})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}

func (p *program) schemaCommand() *cobra.Command {
	var tests bool
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of the YAML configuration",
		Long: `Print the JSON schema (draft 2020-12) of the YAML configuration, for editors:

  kagari schema > kagari.schema.json

and in the first line of a configuration:

  # yaml-language-server: $schema=kagari.schema.json

With --tests it is the schema of the files of 'kagari test'.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if !tests {
				return p.printSchema()
			}
			b, err := pipetest.Schema()
			if err != nil {
				return p.failed(err)
			}
			_, err = p.out.Write(b)
			return err
		},
	}
	cmd.Flags().BoolVar(&tests, "tests", false, "print the schema of test files")
	return cmd
}

func (p *program) printSchema() error {
	b, err := config.Schema(builtin.Registry())
	if err != nil {
		return p.failed(err)
	}
	_, err = p.out.Write(append(bytes.TrimSpace(b), '\n'))
	return err
}

func (p *program) convertCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "convert [flags] FILE",
		Short:   "Convert a classic configuration to YAML",
		Example: "  kagari convert fluent-bit.conf -o fluent-bit.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			w := p.out
			if output != "" {
				f, err := os.Create(output)
				if err != nil {
					return p.failed(fmt.Errorf("create output file: %w", err))
				}
				defer f.Close()
				w = f
			}
			if ps := config.ToYAML(w, args[0]); len(ps) > 0 {
				config.Render(p.err, ps, nil, isTerminal(p.err))
				if ps.HasErrors() {
					return exitError{exitFailed}
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to this `FILE` instead of standard output")
	return cmd
}
