// Package throttle is the filter throttle: it drops what exceeds a rate over a
// sliding window.
package throttle

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the filter.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindFilter,
		Name:    "throttle",
		Summary: "Drops what exceeds a rate over a sliding window",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	Rate        float64
	Window      int
	PrintStatus bool
	Interval    string
}

const (
	defaultRate   = 1
	defaultWindow = 5
	// maxWindow keeps a slip from taking all memory.
	maxWindow = 1 << 24
)

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.Float(&c.Rate, "rate", defaultRate,
			"How many records may pass in an interval, on average over the window. 1 is the least.").WithUnit("records"),
		option.Int(&c.Window, "window", defaultWindow,
			"How many intervals the window has. 1 and less count as 5.").WithUnit("intervals"),
		option.Bool(&c.PrintStatus, "print_status", false,
			"Log the limit and the current rate with every interval."),
		option.String(&c.Interval, "interval", "1",
			"The length of an interval in whole seconds, or a number with s, m, h or d.").WithUnit("seconds"),
	}
}

// New makes the filter.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	if c.Window > maxWindow {
		return nil, option.At("window", fmt.Errorf("a window of %d intervals is more than %d", c.Window, maxWindow))
	}
	f := &Filter{rate: c.Rate, text: c.Interval, status: c.PrintStatus, log: env.Log, now: time.Now}
	if !(f.rate > 1) {
		if f.rate != defaultRate {
			env.Log.Warn("the rate is less than 1 and counts as 1", "rate", f.rate)
		}
		f.rate = defaultRate
	}
	window := c.Window
	if window <= 1 {
		env.Log.Warn("the window is less than 2 intervals and counts as 5", "window", window)
		window = defaultWindow
	}
	f.panes = make([]int, window)
	var ok bool
	if f.interval, ok = parseInterval(c.Interval); !ok {
		env.Log.Warn("the interval is not a number of seconds, or a number with s, m, h or d", "interval", c.Interval, "used", f.interval)
	}
	return f, nil
}

// parseInterval reads a number with s, m, h or d behind it. As with Fluent Bit
// the number counts also if something else is behind it, fractions of a second
// are cut off, and what is less than a second is one.
func parseInterval(s string) (d time.Duration, ok bool) {
	n := len(s)
	var f float64
	for ; n > 0; n-- {
		var err error
		if f, err = strconv.ParseFloat(s[:n], 64); err == nil {
			break
		}
	}
	ok = f > 0
	switch s[n:] {
	case "", "s":
	case "m":
		f *= 60
	case "h":
		f *= 60 * 60
	case "d":
		f *= 24 * 60 * 60
	default:
		ok = false
	}
	if !(f >= 1) {
		return time.Second, ok
	}
	return time.Duration(min(f, math.MaxInt64/1e9-1)) * time.Second, ok
}

// Filter drops records.
type Filter struct {
	rate     float64
	text     string // the interval as written
	interval time.Duration
	status   bool
	log      *slog.Logger
	now      func() time.Time

	mu    sync.Mutex
	panes []int // records that passed, by interval; a ring
	at    int   // the pane of the present interval
	since time.Time
	total int // sum of panes
}

var (
	_ plugin.Filter  = (*Filter)(nil)
	_ plugin.Starter = (*Filter)(nil)
	_ plugin.Runner  = (*Filter)(nil)
)

// Start begins the first interval.
func (f *Filter) Start(context.Context) error {
	f.since = f.now()
	return nil
}

// Run logs the state with every interval, if that is wanted.
func (f *Filter) Run(ctx context.Context, _ plugin.Emitter) error {
	if !f.status {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(f.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		f.mu.Lock()
		f.slide()
		current := f.total / len(f.panes)
		f.mu.Unlock()
		f.log.Info("throttle", "limit", f.rate, "interval", f.text, "window", len(f.panes), "current_rate", current)
	}
}

// Filter drops the events of b that are too many.
func (f *Filter) Filter(_ context.Context, b *event.Batch) error {
	f.mu.Lock()
	f.slide()
	n := 0
	for n < len(b.Events) && float64(f.total)/float64(len(f.panes)) < f.rate {
		n++
		f.total++
		f.panes[f.at]++
	}
	f.mu.Unlock()
	// Nothing passes any more until the window slides.
	clear(b.Events[n:])
	b.Events = b.Events[:n]
	return nil
}

// slide moves the window to the present. The lock is held.
func (f *Filter) slide() {
	passed := f.now().Sub(f.since) / f.interval
	if passed <= 0 {
		return
	}
	f.since = f.since.Add(passed * f.interval)
	for range min(int64(passed), int64(len(f.panes))) {
		f.at = (f.at + 1) % len(f.panes)
		f.total -= f.panes[f.at]
		f.panes[f.at] = 0
	}
}
