// Package builtin is the one list of all plugins.
package builtin

import (
	"github.com/kagarilog/kagari/input/forward"
	"github.com/kagarilog/kagari/output/counter"
	"github.com/kagarilog/kagari/output/exit"
	"github.com/kagarilog/kagari/output/flowcounter"
	"github.com/kagarilog/kagari/plugin"
)

// Registry returns all plugins, in the order in which lists show them.
func Registry() *plugin.Registry {
	return plugin.NewRegistry(
		forward.Def(),

		counter.Def(),
		exit.Def(),
		flowcounter.Def(),
	)
}
