package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/kagarilog/kagari/admin"
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
