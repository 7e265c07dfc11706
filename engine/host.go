package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/kagarilog/kagari/plugin"
)

// Host runs an engine and, after a reload, its successor. It is what the admin
// API talks to.
type Host struct {
	// AtWork is called with every engine that has started, before its inputs run.
	// Set it before Run.
	AtWork func(*Engine)

	load func() (*Engine, error)
	log  *slog.Logger

	mu      sync.Mutex
	current *Engine
	next    *Engine
	reloads int
	lost    uint64 // by engines before the current one
	started time.Time
}

// NewHost returns a host that runs first and gets later engines from load,
// which reads and validates the configuration.
func NewHost(first *Engine, load func() (*Engine, error), log *slog.Logger) *Host {
	return &Host{current: first, load: load, log: log, started: time.Now()}
}

// Run runs engines one after the other until ctx ends or one stops by itself.
// One that cannot start after a reload is replaced by its predecessor, made
// anew. The summary is the sum of all.
func (h *Host) Run(ctx context.Context) (Summary, error) {
	var total Summary
	var again func() (*Engine, error) // makes the engine that was at work last
	for {
		h.mu.Lock()
		e, reloaded := h.current, again != nil
		h.mu.Unlock()
		sum, err := e.run(ctx, func() {
			if h.AtWork != nil {
				h.AtWork(e)
			}
			if !reloaded {
				return
			}
			h.mu.Lock()
			h.reloads++
			h.mu.Unlock()
			h.log.Info("the new configuration is at work")
		})
		total.ExitCode = sum.ExitCode
		total.Delivered += sum.Delivered
		total.Dropped += sum.Dropped
		total.Letters += sum.Letters
		total.OnDisk = sum.OnDisk
		total.Lost += sum.Lost
		next := h.takeNext()
		switch {
		case err != nil && again == nil:
			return total, err
		case err != nil && next == nil:
			h.log.Error("the new configuration cannot be started; the one before is taken up again", "error", err)
			var backErr error
			if next, backErr = again(); backErr != nil {
				return total, errors.Join(err, backErr)
			}
			again = nil
		case next == nil || err == nil && ctx.Err() != nil:
			return total, nil
		case err == nil:
			again = e.again
		}
		h.mu.Lock()
		h.current = next
		h.lost += uint64(max(sum.Lost, 0))
		h.mu.Unlock()
	}
}

// takeNext returns the engine that is to take over, if there is one.
func (h *Host) takeNext() *Engine {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := h.next
	h.next = nil
	return next
}

// Reload builds an engine from the configuration as it is now and lets it take
// over from the current one, which delivers what it has first. While that goes
// on, a further Reload replaces the engine that waits. On an error the current
// one goes on untouched.
func (h *Host) Reload() error {
	next, err := h.load()
	if err != nil {
		h.log.Error("the configuration is not reloaded; the current one stays at work", "error", err)
		return fmt.Errorf("reload: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next = next
	h.current.Stop(0)
	return nil
}

// Reloads is how often an engine took over.
func (h *Host) Reloads() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reloads
}

// Metrics returns the numbers of the engine at work.
func (h *Host) Metrics() []plugin.Metric {
	h.mu.Lock()
	e, reloads, lost := h.current, h.reloads, h.lost
	h.mu.Unlock()
	return append(e.Metrics(), plugin.Metric{Name: "kagari_reload_undelivered_events_total",
		Help: "Events that were neither delivered nor on disk when a new configuration took over. Sources that keep their data send them again.",
		Type: plugin.CounterMetric, Value: float64(lost)}, plugin.Metric{Name: "fluentbit_hot_reloaded_times", Help: "Collect the count of hot reloaded times.",
		Type: plugin.CounterMetric, Labels: []plugin.Label{{Name: "hostname", Value: e.hostname}}, Value: float64(reloads)})
}

// Uptime is the time since the process began its work.
func (h *Host) Uptime() time.Duration { return time.Since(h.started) }
