package main

import (
	"github.com/spf13/cobra"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

func (p *program) runCommand() *cobra.Command {
	var flags routerFlags
	cmd := &cobra.Command{
		Use:   "run [flags] [FILE...]",
		Short: "Run the router, with a built-in configuration if none is given",
		Long: `Run the router.

Without a configuration it receives logs over the forward protocol on
127.0.0.1:24224 and over HTTP on 127.0.0.1:9880, follows the files that are
named (from their beginning), and shows everything on the terminal.`,
		Example: `  kagari run
  kagari run /var/log/syslog
  kagari run -c fluent-bit.conf
  curl -H 'Content-Type: application/json' -d '{"message":"hello"}' http://127.0.0.1:9880/app.web`,
		RunE: func(_ *cobra.Command, files []string) error {
			if !flags.given() {
				flags.plugins = defaultPlugins(files)
				flags.service = append([]option.Property{option.Prop("flush", "0.2"), option.Prop("grace", "5")}, flags.service...)
			} else {
				for _, f := range files {
					flags.plugins = append(flags.plugins, follow(f))
				}
			}
			return p.route(&flags)
		},
	}
	flags.add(cmd.Flags())
	return cmd
}

// defaultPlugins is the built-in configuration.
func defaultPlugins(files []string) []*config.Instance {
	plugins := []*config.Instance{
		{Kind: plugin.KindInput, Name: "forward", Props: props("listen", "127.0.0.1", "port", "24224")},
		{Kind: plugin.KindInput, Name: "http", Props: props("listen", "127.0.0.1", "port", "9880")},
		{Kind: plugin.KindOutput, Name: "stdout", Props: props("match", "*", "format", "pretty")},
	}
	for _, f := range files {
		plugins = append(plugins, follow(f))
	}
	return plugins
}

// follow reads a file from its beginning and goes on with what is added.
func follow(file string) *config.Instance {
	return &config.Instance{Kind: plugin.KindInput, Name: "tail",
		Props: props("path", file, "tag", "file.*", "read_from_head", "on", "refresh_interval", "5")}
}

func props(pairs ...string) []option.Property {
	var ps []option.Property
	for i := 0; i < len(pairs); i += 2 {
		ps = append(ps, option.Prop(pairs[i], pairs[i+1]))
	}
	return ps
}
