// Package mem is the input mem: the usage of the memory.
package mem

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"time"

	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/process"

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
		Name:    "mem",
		Summary: "Usage of the memory",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the input.
type Config struct {
	PID      int
	Interval interval.Options
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return append([]option.Field{
		option.Int(&c.PID, "pid", 0, "Process whose memory is told as well."),
	}, c.Interval.Fields()...)
}

// New makes the input.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	every := c.Interval
	if every.Sec <= 0 {
		every.Sec = 1 // unlike elsewhere, also where there are nanoseconds
	}
	return &Input{tag: env.OwnTag(), log: env.Log, pid: c.PID, every: every.Duration()}, nil
}

// Input measures.
type Input struct {
	tag   string
	log   *slog.Logger
	pid   int // 0 for none
	every time.Duration
}

var _ plugin.Input = (*Input)(nil)

// Run measures in every interval.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	return interval.Run(ctx, in.every, func() error {
		b := event.NewBatch(in.tag)
		if err := in.fill(ctx, b.Add(time.Now().UnixNano())); err != nil {
			b.Free()
			in.log.Error("the usage of the memory could not be read", "error", err)
			return nil
		}
		return out.Emit(ctx, b)
	})
}

// fill makes the record. Sizes are in units of 1024 bytes.
func (in *Input) fill(ctx context.Context, e *event.Event) error {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return fmt.Errorf("read memory: %w", err)
	}
	s, err := mem.SwapMemoryWithContext(ctx)
	if err != nil {
		return fmt.Errorf("read swap: %w", err)
	}
	b := e.Batch()
	add := func(key string, n uint64) { e.Append(b.String(key), b.Int(int64(n))) }
	total, free := m.Total/1024, m.Free/1024
	add("Mem.total", total)
	add("Mem.used", total-free)
	add("Mem.free", free)
	total, free = s.Total/1024, s.Free/1024
	add("Swap.total", total)
	add("Swap.used", total-free)
	add("Swap.free", free)
	if in.pid == 0 {
		return nil
	}
	rss, err := resident(ctx, in.pid)
	if err != nil {
		in.log.Warn("the memory of the process could not be read", "error", err)
		return nil
	}
	add("proc_bytes", rss)
	e.Append(b.String("proc_hr"), b.String(readable(rss)))
	return nil
}

// resident returns the bytes of a process that are in memory.
func resident(ctx context.Context, pid int) (uint64, error) {
	p, err := process.NewProcessWithContext(ctx, int32(pid))
	if err != nil {
		return 0, fmt.Errorf("find process %d: %w", pid, err)
	}
	info, err := p.MemoryInfoWithContext(ctx)
	if err != nil {
		return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	return info.RSS, nil
}

// readable writes a number of bytes for people: 512 b, 3.66M.
func readable(n uint64) string {
	const units = "bKMGTPE"
	i, f := 0, float64(n)
	for f >= 1024 {
		f /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d b", n)
	}
	return fmt.Sprintf("%.2f%c", f, units[i])
}
