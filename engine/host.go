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
	load func() (*Engine, error)
	log  *slog.Logger

	mu      sync.Mutex
	current *Engine
	next    *Engine
	reloads int
	started time.Time
}

// NewHost returns a host that runs first and gets later engines from load,
// which reads and validates the configuration.
func NewHost(first *Engine, load func() (*Engine, error), log *slog.Logger) *Host {
	return &Host{current: first, load: load, log: log, started: time.Now()}
}

// Run runs engines one after the other until ctx ends or one stops by itself.
// The summary is the sum of all.
func (h *Host) Run(ctx context.Context) (Summary, error) {
	var total Summary
	for {
		h.mu.Lock()
		e := h.current
		h.mu.Unlock()
		sum, err := e.Run(ctx)
		total.ExitCode = sum.ExitCode
		total.Delivered += sum.Delivered
		total.Dropped += sum.Dropped
		total.OnDisk = sum.OnDisk
		total.Lost += sum.Lost
		if err != nil {
			return total, err
		}
		h.mu.Lock()
		next := h.next
		h.next = nil
		if next == nil || ctx.Err() != nil {
			h.mu.Unlock()
			return total, nil
		}
		h.current = next
		h.reloads++
		h.mu.Unlock()
		h.log.Info("the new configuration is at work")
	}
}

// Reload builds an engine from the configuration as it is now and lets it take
// over from the current one, which delivers what it has first. On an error the
// current one goes on untouched.
func (h *Host) Reload() error {
	next, err := h.load()
	if err != nil {
		h.log.Error("the configuration is not reloaded; the current one stays at work", "error", err)
		return fmt.Errorf("reload: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.next != nil {
		return errors.New("reload: another one is under way")
	}
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
	e, reloads := h.current, h.reloads
	h.mu.Unlock()
	return append(e.Metrics(), plugin.Metric{Name: "fluentbit_hot_reloaded_times", Help: "Collect the count of hot reloaded times.",
		Type: plugin.CounterMetric, Value: float64(reloads)})
}

// Uptime is the time since the process began its work.
func (h *Host) Uptime() time.Duration { return time.Since(h.started) }
