package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/kagarilog/kagari/admin"
	"github.com/kagarilog/kagari/builtin"
	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// load reads the configuration that the flags ask for.
func (f *routerFlags) load() (*config.Config, option.Problems) {
	opts := config.LoadOptions{Service: f.service}
	cfg, ps := config.NewEmpty(opts)
	if f.configFile != "" {
		cfg, ps = config.Load(f.configFile, opts)
	}
	// The tasks of the command line come first, and those of files can read their
	// streams.
	for i, sql := range f.tasks {
		name := fmt.Sprintf("flb-console:%d", i)
		task := &plugin.Section{Name: "stream_processor", Props: props("name", name, "exec", sql)}
		cfg.StreamTasks = slices.Insert(cfg.StreamTasks, i, task)
	}
	for _, inst := range f.plugins {
		_, more := cfg.AddInstance(inst.Kind, inst.Name, inst.Props)
		ps = append(ps, more...)
	}
	return cfg, ps
}

// route runs the router until it is told to stop.
func (p *program) route(f *routerFlags) error {
	if f.supervisor {
		return p.supervise()
	}
	// Signals count from the first moment on: one that comes during the start
	// stops the router as soon as it runs. A second one ends it at once.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	defer stop()
	context.AfterFunc(ctx, stop)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	// A reader of the log or of the standard output that is gone is an error of
	// writing, no end.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	if f.workdir != "" {
		if err := os.Chdir(f.workdir); err != nil {
			return p.failed(fmt.Errorf("change directory: %w", err))
		}
	}
	cfg, ps := f.load()
	if ps.HasErrors() {
		return p.refused(cfg, ps)
	}
	live, err := newLive(f, cfg.Service, p.err)
	if err != nil {
		return p.failed(err)
	}
	defer live.end()
	log := live.log
	opts := engine.Options{Handler: live.logs, Version: Version(), MemoryLimit: limitMemory()}
	reg := builtin.Registry()
	build := func(cfg *config.Config, ps option.Problems) (*engine.Engine, option.Problems) {
		e, more := engine.New(cfg, reg, opts)
		ps = append(ps, more...)
		for _, pr := range ps {
			if pr.Severity == option.Warning {
				log.Warn(pr.Error())
			}
		}
		if len(cfg.Inputs) == 0 || len(cfg.Outputs) == 0 {
			log.Warn("the configuration leaves nothing to do", "inputs", len(cfg.Inputs), "outputs", len(cfg.Outputs))
		}
		return e, ps
	}
	e, ps := build(cfg, ps)
	if e == nil || f.strict && hasWarnings(ps) {
		return p.refused(cfg, ps)
	}
	for _, name := range f.builtIn {
		log.Info("the plugin is built in; nothing is loaded", "plugin", name)
	}
	for _, name := range f.ignored {
		log.Warn("the flag has no effect here", "flag", name)
	}
	if f.dryRun {
		fmt.Fprintln(p.out, "configuration test is successful")
		return nil
	}
	log.Info("Kagari", "version", Version(), "compatible_with", "Fluent Bit "+admin.CompatibleVersion, "pid", os.Getpid())
	host := engine.NewHost(e, func() (*engine.Engine, error) {
		cfg, ps := f.load()
		if ps.HasErrors() {
			return nil, ps.Err()
		}
		e, ps := build(cfg, ps)
		if e != nil && f.strict && hasWarnings(ps) {
			return nil, errors.New("there are warnings, and --strict makes errors of them")
		}
		if err := ps.Err(); err != nil {
			return nil, err
		}
		return e, live.prepare(cfg.Service)
	}, log)
	host.AtWork = func(e *engine.Engine) { live.use(e.Service()) }

	var background sync.WaitGroup
	defer background.Wait()
	ended := make(chan struct{})
	defer close(ended)
	background.Go(func() { reloadOnHangup(hangup, ended, host, live, log) })
	if err := live.serve(host, reg); err != nil {
		return p.failed(err)
	}
	sum, err := host.Run(ctx)
	if err != nil {
		return p.failed(err)
	}
	p.code = sum.ExitCode
	if f.strict && p.code == exitOK && sum.Lost+int(sum.Dropped) > 0 {
		p.code = exitLost
	}
	return nil
}

// hasWarnings tells whether --strict refuses a configuration without errors.
// Advice is no reason.
func hasWarnings(ps option.Problems) bool {
	return slices.ContainsFunc(ps, func(p option.Problem) bool { return p.Severity == option.Warning })
}

// reloadOnHangup reloads the configuration on SIGHUP until the router has ended.
// Without hot_reload the signal is only answered in the log: it must not end the
// process.
func reloadOnHangup(hangup <-chan os.Signal, ended <-chan struct{}, host *engine.Host, live *live, log *slog.Logger) {
	for {
		select {
		case <-hangup:
			if !live.hotReload() {
				log.Warn("SIGHUP is ignored; start with -Y or set hot_reload on to reload the configuration")
				continue
			}
			_ = host.Reload() // It has said why in the log.
		case <-ended:
			return
		}
	}
}

// limitMemory makes the garbage collector respect the memory limit of the
// container and returns it in bytes, or 0 if there is none.
func limitMemory() int64 {
	limit, err := memlimit.FromCgroup()
	if err != nil || limit > math.MaxInt64 {
		return 0
	}
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(int64(limit) / 10 * 9)
	}
	return int64(limit)
}

// failed prints what went wrong and ends with 1.
func (p *program) failed(err error) error {
	fmt.Fprintf(p.err, "kagari: %v\n", err)
	return exitError{exitFailed}
}

// refused prints what is wrong with the configuration and ends with 1.
func (p *program) refused(cfg *config.Config, ps option.Problems) error {
	config.Render(p.err, ps, cfg.Sources, isTerminal(p.err))
	return exitError{exitFailed}
}

// isTerminal tells whether w is a terminal that wants colours.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
