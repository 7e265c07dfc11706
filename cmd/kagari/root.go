package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kagarilog/kagari/builtin"
)

// program is what the commands share.
type program struct {
	in       io.Reader
	out, err io.Writer
	code     int
}

// exitError ends with a code after its message was printed.
type exitError struct{ code int }

func (e exitError) Error() string { return fmt.Sprintf("exit %d", e.code) }

// run runs the command line and returns the exit code.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	p := &program{in: in, out: out, err: errOut}
	root := p.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.Execute()
	var exit exitError
	switch {
	case err == nil:
		return p.code
	case errors.As(err, &exit):
		return exit.code
	}
	fmt.Fprintf(errOut, "kagari: %v\nRun 'kagari --help' to see what there is.\n", err)
	return exitUsage
}

const rootLong = `Kagari collects logs, shapes them, and routes them to many places without
losing one. It reads the configuration files of Fluent Bit as they are and
takes its flags:

  kagari -c fluent-bit.conf
  kagari -i tail -p path=/var/log/syslog -o stdout

Without a configuration it receives logs and shows them on the terminal:

  kagari run                     forward on 127.0.0.1:24224, HTTP on 127.0.0.1:9880
  kagari run app.log nginx.log   and the lines of these files`

func (p *program) root() *cobra.Command {
	var flags routerFlags
	var version bool
	root := &cobra.Command{
		Use:           "kagari [flags]",
		Short:         "Collect, shape and route logs",
		Long:          rootLong,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case version:
				return p.printVersion()
			case flags.schema:
				return p.printSchema()
			case flags.report:
				return p.printReport(&flags)
			}
			if !flags.given() {
				_ = cmd.Help()
				return exitError{exitFailed}
			}
			return p.route(&flags)
		},
	}
	root.SuggestionsMinimumDistance = 2
	flags.add(root.Flags())
	root.Flags().BoolVarP(&version, "version", "V", false, "print the version and end")
	root.AddCommand(p.runCommand(), p.checkCommand(), p.testCommand(), p.parseCommand(), p.sqlCommand(), p.statusCommand(), p.topCommand(), p.replayCommand(), p.bufferCommand(), p.pluginsCommand(), p.schemaCommand(), p.convertCommand(), p.versionCommand(), p.referenceCommand())
	root.SetHelpCommand(p.helpCommand(root))
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		// As in Fluent Bit, -h behind a plugin is about the plugin.
		if cmd == root && len(flags.plugins) > 0 {
			last := flags.plugins[len(flags.plugins)-1]
			if err := p.describe(builtin.Registry(), last.Kind.String(), last.Name); err == nil {
				return
			}
		}
		help(cmd, args)
	})
	return root
}

// oneLine makes a text fit a table.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
