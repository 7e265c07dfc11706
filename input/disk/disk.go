// Package disk is the input disk: how much is read from and written to disks.
package disk

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/disk"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/interval"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the input.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindInput,
		Name:    "disk",
		Summary: "Bytes read from and written to disks",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the input.
type Config struct {
	DevName  string
	Interval interval.Options
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return append([]option.Field{
		option.String(&c.DevName, "dev_name", "",
			"Count only devices whose name contains this text. Without it all count, partitions besides their disks."),
	}, c.Interval.Fields()...)
}

// New makes the input.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	return &Input{tag: env.OwnTag(), log: env.Log, device: c.DevName, every: c.Interval.Duration()}, nil
}

// Input measures.
type Input struct {
	tag    string
	log    *slog.Logger
	device string
	every  time.Duration
}

var _ plugin.Input = (*Input)(nil)

// Run measures in every interval. The first reading makes no record.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	var before map[string]disk.IOCountersStat
	return interval.Run(ctx, in.every, func() error {
		now, err := disk.IOCountersWithContext(ctx)
		if err != nil {
			in.log.Error("the counters of the disks could not be read", "error", fmt.Errorf("read disk counters: %w", err))
			return nil
		}
		last := before
		before = now
		if last == nil {
			return nil
		}
		b := event.NewBatch(in.tag)
		in.fill(b.Add(time.Now().UnixNano()), last, now)
		return out.Emit(ctx, b)
	})
}

// fill makes the record of what happened between two readings. A device that
// is new, or whose counters began again, counts with what it has.
func (in *Input) fill(e *event.Event, before, now map[string]disk.IOCountersStat) {
	var read, written uint64
	for name, n := range now {
		if !strings.Contains(name, in.device) {
			continue
		}
		old := before[name]
		if n.ReadBytes < old.ReadBytes || n.WriteBytes < old.WriteBytes {
			old = disk.IOCountersStat{}
		}
		read += n.ReadBytes - old.ReadBytes
		written += n.WriteBytes - old.WriteBytes
	}
	b := e.Batch()
	e.Append(b.String("read_size"), b.Int(int64(read)))
	e.Append(b.String("write_size"), b.Int(int64(written)))
}
