package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kagarilog/kagari/builtin"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

func (p *program) pluginsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "plugins",
		Short: "List inputs, filters, processors and outputs",
		Long:  "List inputs, filters, processors and outputs. 'kagari help input tail' describes one.",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
			for _, kind := range []plugin.Kind{plugin.KindInput, plugin.KindFilter, plugin.KindProcessor, plugin.KindOutput} {
				first := true
				for _, d := range builtin.Registry().All() {
					if d.Kind != kind || d.Hidden {
						continue
					}
					if first {
						fmt.Fprintf(w, "%ss\n", strings.ToUpper(kind.String()[:1])+kind.String()[1:])
						first = false
					}
					fmt.Fprintf(w, "  %s\t%s\n", d.Name, d.Summary)
				}
			}
			return w.Flush()
		},
	}
}

// helpCommand is cobra's help with the plugins' reference added.
func (p *program) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND | input NAME | filter NAME | processor NAME | output NAME]",
		Short:   "Help about a command or a plugin",
		Example: "  kagari help check\n  kagari help input tail",
		RunE: func(_ *cobra.Command, args []string) error {
			reg := builtin.Registry()
			if len(args) == 2 {
				return p.describe(reg, args[0], args[1])
			}
			if len(args) == 1 {
				for _, d := range reg.All() {
					if found, ok := reg.Lookup(d.Kind, args[0]); ok {
						return describePlugin(p.out, found)
					}
				}
			}
			cmd, _, err := root.Find(args)
			if err != nil || cmd == nil {
				return fmt.Errorf("there is no help about %q", strings.Join(args, " "))
			}
			return cmd.Help()
		},
	}
}

// describe prints the reference of one plugin.
func (p *program) describe(reg *plugin.Registry, kind, name string) error {
	for _, k := range []plugin.Kind{plugin.KindInput, plugin.KindFilter, plugin.KindOutput, plugin.KindProcessor} {
		if !strings.EqualFold(k.String(), kind) {
			continue
		}
		d, ok := reg.Lookup(k, name)
		if !ok {
			return fmt.Errorf("there is no %s plugin %q; %s", kind, name, reg.Suggest(k, name))
		}
		return describePlugin(p.out, d)
	}
	return fmt.Errorf("%q is not a kind of plugin; use input, filter, output or processor", kind)
}

func describePlugin(w io.Writer, d *plugin.Def) error {
	fmt.Fprintf(w, "%s %s: %s\n", d.Kind, d.Name, d.Summary)
	if len(d.Aliases) > 0 {
		fmt.Fprintf(w, "also called %s\n", strings.Join(d.Aliases, ", "))
	}
	if text := pluginText(d); text != "" {
		fmt.Fprintf(w, "\n%s\n", text)
	}
	fmt.Fprint(w, "\nOptions\n")
	for _, f := range d.Config().Fields() {
		describeField(w, f)
	}
	return nil
}

// pluginText is a plugin's page without its heading, which the caller writes.
func pluginText(d *plugin.Def) string {
	text := strings.TrimSpace(d.Doc)
	if strings.HasPrefix(text, "# ") {
		_, text, _ = strings.Cut(text, "\n")
	}
	return strings.TrimSpace(text)
}

func describeField(w io.Writer, f option.Field) {
	kind := string(f.Type)
	if len(f.Allowed) > 0 {
		kind = strings.Join(f.Allowed, "|")
	}
	var notes []string
	if f.Required {
		notes = append(notes, "required")
	}
	if f.Default != "" {
		notes = append(notes, "default "+f.Default)
	}
	if f.Repeatable {
		notes = append(notes, "may be repeated")
	}
	if f.Ours {
		notes = append(notes, "not in Fluent Bit")
	}
	if f.Deprecated != "" {
		notes = append(notes, "deprecated: "+f.Deprecated)
	}
	head := "  " + f.Name
	if f.Prefix {
		head += "…"
	}
	if kind != "" {
		head += " (" + kind + ")"
	}
	if len(notes) > 0 {
		head += "  " + strings.Join(notes, "; ")
	}
	fmt.Fprintf(w, "%s\n%s\n", head, indent(oneLine(f.Doc), 6, 78))
}

// indent wraps text at width columns with a margin in front.
func indent(text string, margin, width int) string {
	var b strings.Builder
	line := strings.Repeat(" ", margin)
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width && len(strings.TrimSpace(line)) > 0 {
			b.WriteString(line + "\n")
			line = strings.Repeat(" ", margin)
		}
		if len(strings.TrimSpace(line)) > 0 {
			line += " "
		}
		line += word
	}
	b.WriteString(line)
	return b.String()
}
