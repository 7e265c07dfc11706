// Package builtin is the one list of all plugins.
package builtin

import (
	"github.com/kagarilog/kagari/input/cpu"
	"github.com/kagarilog/kagari/input/disk"
	"github.com/kagarilog/kagari/input/dummy"
	"github.com/kagarilog/kagari/input/exec"
	inforward "github.com/kagarilog/kagari/input/forward"
	"github.com/kagarilog/kagari/input/head"
	"github.com/kagarilog/kagari/input/mem"
	"github.com/kagarilog/kagari/input/netif"
	"github.com/kagarilog/kagari/input/proc"
	"github.com/kagarilog/kagari/input/random"
	"github.com/kagarilog/kagari/input/tail"
	"github.com/kagarilog/kagari/output/counter"
	"github.com/kagarilog/kagari/output/exit"
	"github.com/kagarilog/kagari/output/file"
	"github.com/kagarilog/kagari/output/flowcounter"
	outforward "github.com/kagarilog/kagari/output/forward"
	outhttp "github.com/kagarilog/kagari/output/http"
	"github.com/kagarilog/kagari/output/null"
	"github.com/kagarilog/kagari/plugin"
)

// Registry returns all plugins, in the order in which lists show them.
func Registry() *plugin.Registry {
	return plugin.NewRegistry(
		tail.Def(),
		inforward.Def(),
		dummy.Def(),
		exec.Def(),
		head.Def(),
		random.Def(),
		proc.Def(),
		cpu.Def(),
		mem.Def(),
		disk.Def(),
		netif.Def(),

		file.Def(),
		null.Def(),
		counter.Def(),
		flowcounter.Def(),
		outforward.Def(),
		outhttp.Def(),
		exit.Def(),
	)
}
