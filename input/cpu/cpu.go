// Package cpu is the input cpu: the usage of the processors, or that of one
// process.
package cpu

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
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
		Name:    "cpu",
		Summary: "Usage of the processors",
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
		option.Int(&c.PID, "pid", -1, "Process to measure instead of the whole machine."),
	}, c.Interval.Fields()...)
}

// New makes the input.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	return &Input{tag: env.OwnTag(), log: env.Log, pid: c.PID, every: c.Interval.Duration()}, nil
}

// Input measures.
type Input struct {
	tag   string
	log   *slog.Logger
	pid   int // negative for the machine
	every time.Duration
}

var _ plugin.Input = (*Input)(nil)

// ticks is processor time in hundredths of a second, the unit in which Linux
// tells it. All sums are made of whole ticks, as in Fluent Bit.
type ticks struct{ user, system float64 }

func ticksOf(user, nice, system float64) ticks {
	return ticks{math.Round((user + nice) * 100), math.Round(system * 100)}
}

// Run measures in every interval what happened since the last time.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	before, err := in.read(ctx)
	if err != nil {
		return err
	}
	return interval.Run(ctx, in.every, func() error {
		now, err := in.read(ctx)
		if err != nil {
			in.log.Error("the usage of the processors could not be read", "error", err)
			return nil
		}
		b := event.NewBatch(in.tag)
		in.fill(b.Add(time.Now().UnixNano()), before, now)
		before = now
		return out.Emit(ctx, b)
	})
}

// read returns the time used so far: of the machine and then of each
// processor, or of the process.
func (in *Input) read(ctx context.Context) ([]ticks, error) {
	if in.pid >= 0 {
		p, err := process.NewProcessWithContext(ctx, int32(in.pid))
		if err != nil {
			return nil, fmt.Errorf("find process %d: %w", in.pid, err)
		}
		t, err := p.TimesWithContext(ctx)
		if err != nil {
			return nil, fmt.Errorf("read times of process %d: %w", in.pid, err)
		}
		return []ticks{ticksOf(t.User, 0, t.System)}, nil
	}
	total, err := cpu.TimesWithContext(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("read times of the processors: %w", err)
	}
	each, err := cpu.TimesWithContext(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("read times of each processor: %w", err)
	}
	if len(total) == 0 || len(each) == 0 {
		return nil, errors.New("the system tells nothing about its processors")
	}
	all := make([]ticks, 0, 1+len(each))
	for _, t := range append(total, each...) {
		all = append(all, ticksOf(t.User, t.Nice, t.System))
	}
	return all, nil
}

// fill makes the record. A processor that was switched on or off between the
// two readings counts from the next time on.
func (in *Input) fill(e *event.Event, before, now []ticks) {
	processors := float64(max(1, len(now)-1))
	if in.pid >= 0 {
		// A process counts as a share of the whole machine too.
		if n, err := cpu.Counts(true); err == nil && n > 0 {
			processors = float64(n)
		}
	}
	b := e.Batch()
	add := func(key string, used, share float64) {
		e.Append(b.String(key), b.Float(used*share/in.every.Seconds()))
	}
	for i := range now {
		var used ticks
		if len(before) == len(now) {
			used = ticks{now[i].user - before[i].user, now[i].system - before[i].system}
		}
		sum := math.Abs(used.user + used.system)
		used.user, used.system = math.Abs(used.user), math.Abs(used.system)
		if i == 0 {
			add("cpu_p", sum, 1/processors)
			add("user_p", used.user, 1/processors)
			add("system_p", used.system, 1/processors)
			continue
		}
		name := "cpu" + strconv.Itoa(i-1)
		add(name+".p_cpu", sum, 1)
		add(name+".p_user", used.user, 1)
		add(name+".p_system", used.system, 1)
	}
}
