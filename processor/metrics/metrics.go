// Package metrics is the processors of Fluent Bit that work on metrics alone,
// a file for each: their options are read and checked, so that configurations
// with them are accepted. Logs they leave as they are, as in Fluent Bit.
package metrics

import (
	"context"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// logs is any of these processors at work on logs.
type logs struct{}

var _ plugin.Filter = logs{}

// onLogs makes the processor of logs.
func onLogs(env *plugin.Env) (plugin.Filter, error) {
	env.Log.Warn("this processor works on metrics and leaves logs as they are")
	return logs{}, nil
}

// Filter changes nothing.
func (logs) Filter(context.Context, *event.Batch) error { return nil }
