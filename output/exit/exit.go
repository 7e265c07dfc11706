// Package exit is the output exit: it ends the process after a number of
// chunks or records or after a time.
package exit

import (
	"context"
	_ "embed"
	"sync"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the output.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindOutput,
		Name:    "exit",
		Summary: "Ends the process after so many chunks, records or seconds, for tests",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the output. A negative number counts as not given.
type Config struct {
	FlushCount  int
	RecordCount int
	TimeCount   int
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.Int(&c.FlushCount, "flush_count", -1, "Chunks after which the process ends; 1 if none of the three options is given."),
		option.Int(&c.RecordCount, "record_count", -1, "Records after which the process ends."),
		option.Int(&c.TimeCount, "time_count", -1, "Seconds after which the process ends. It is looked at when a chunk arrives.").WithUnit("seconds"),
	}
}

// New makes the output.
func (c *Config) New(env *plugin.Env) (plugin.Output, error) {
	o := &Output{chunks: c.FlushCount, records: c.RecordCount, limit: c.TimeCount, stop: env.Stop, started: time.Now()}
	if o.chunks == -1 && o.records == -1 && o.limit == -1 {
		o.chunks = 1
	}
	return o, nil
}

// Output counts down.
type Output struct {
	stop    func(code int)
	started time.Time
	limit   int

	mu      sync.Mutex
	chunks  int // left; negative for any number
	records int
	stopped bool
}

var _ plugin.Output = (*Output)(nil)

// Send counts c and ends the process if that was the last one to wait for.
func (o *Output) Send(_ context.Context, c *event.Chunk) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stopped {
		return nil
	}
	if o.chunks > 0 {
		o.chunks--
	}
	if o.records > 0 {
		o.records = max(0, o.records-c.Count)
	}
	late := o.limit > 0 && time.Since(o.started) > option.Times(o.limit, time.Second)
	if o.chunks == 0 || o.records == 0 || late {
		o.stopped = true
		o.stop(0)
	}
	return nil
}
