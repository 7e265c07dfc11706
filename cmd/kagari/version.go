package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/kagarilog/kagari/admin"
	"github.com/kagarilog/kagari/config"
)

// stamp is set by the linker: -X main.stamp=v1.2.3.
var stamp string

// Version is the version of this binary: the linker's stamp, else the version
// of the module, else "dev".
func Version() string {
	if stamp != "" {
		return stamp
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

func (p *program) printVersion() error {
	_, err := fmt.Fprintf(p.out, "Kagari %s (%s/%s, %s), compatible with Fluent Bit v%s\n",
		Version(), runtime.GOOS, runtime.GOARCH, runtime.Version(), admin.CompatibleVersion)
	return err
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return p.printVersion() },
	}
}

// printReport prints what a report of a problem needs: the version, the
// machine, and what check says of the configuration.
func (p *program) printReport(f *routerFlags) error {
	if err := p.printVersion(); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "CPUs: %d, memory limit of the container: %d bytes (0 means none)\n", runtime.NumCPU(), limitMemory())
	if f.configFile == "" {
		return nil
	}
	cfg, ps := p.checkFile(f.configFile)
	fmt.Fprintf(p.out, "configuration %s: %d inputs, %d filters, %d outputs\n", f.configFile, len(cfg.Inputs), len(cfg.Filters), len(cfg.Outputs))
	config.Render(p.out, ps, cfg.Sources, false)
	return nil
}
