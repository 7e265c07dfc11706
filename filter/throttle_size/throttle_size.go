// Package throttle_size is the filter throttle_size: it drops what exceeds a
// rate of bytes over a sliding window. window.go counts.
package throttle_size

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
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
		Name:    "throttle_size",
		Summary: "Drops what exceeds a rate of bytes over a sliding window",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	Rate               int64
	Window             int
	Interval           string
	LogField           string
	NameField          string
	WindowTimeDuration string
	HashTableSize      int
	PrintStatus        bool
}

const (
	defaultRate   = 1 << 20
	defaultWindow = 5
	// maxWindow and maxWindows keep slips, and names without end, from taking
	// all memory.
	maxWindow  = 1 << 16
	maxWindows = 100000
	maxPanes   = 1 << 24 // of all windows together
	// maxSeconds is the longest time, such that a whole window fits a duration.
	maxSeconds = math.MaxInt64 / 1_000_000_000 / maxWindow
	// maxDepth is how many keys a path may have.
	maxDepth = 20
)

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.Size(&c.Rate, "rate", strconv.Itoa(defaultRate),
			"How many bytes may pass in an interval, on average over the window.").WithLenient(),
		option.Int(&c.Window, "window", defaultWindow,
			"How many intervals the window has. 1 and less count as 5.").WithUnit("intervals"),
		option.String(&c.Interval, "interval", "1",
			"The length of an interval in whole seconds, or a number with s, m, h or d.").WithUnit("seconds"),
		option.String(&c.LogField, "log_field", "",
			"The key of the value whose text is counted, nested ones separated by |. Without it all keys and values are."),
		option.String(&c.NameField, "name_field", "",
			"The key of the text that names the window, nested ones separated by |. Without it all records share one window."),
		option.String(&c.WindowTimeDuration, "window_time_duration", "60",
			"After how long without records a window is forgotten, in seconds, or a number with s, m, h or d.").WithUnit("seconds"),
		option.Int(&c.HashTableSize, "hash_table_size", 256, "Accepted for compatibility."),
		option.Bool(&c.PrintStatus, "print_status", false,
			"Log the windows with every interval."),
	}
}

// New makes the filter.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	f := &Filter{status: c.PrintStatus, log: env.Log}
	rate, panes := c.Rate, c.Window
	if rate <= 0 {
		env.Log.Warn("the rate is not more than 0, so the default counts", "rate", rate, "default", defaultRate)
		rate = defaultRate
	}
	if panes <= 1 {
		env.Log.Warn("the window is less than 2 intervals and counts as 5", "window", panes)
		panes = defaultWindow
	}
	if panes > maxWindow {
		return nil, option.At("window", fmt.Errorf("a window of %d intervals is more than %d", panes, maxWindow))
	}
	interval := duration(env.Log, "interval", c.Interval, time.Second)
	keep := duration(env.Log, "window_time_duration", c.WindowTimeDuration, time.Minute)
	f.windows = windows{
		limit:    float64(rate),
		panes:    panes,
		interval: interval,
		keep:     max(keep, interval*time.Duration(panes)),
		most:     min(maxWindows, maxPanes/panes),
		now:      time.Now,
		byName:   map[string]*window{},
	}
	var err error
	if f.logField, err = path(c.LogField); err != nil {
		return nil, option.At("log_field", fmt.Errorf("log_field: %w", err))
	}
	if f.nameField, err = path(c.NameField); err != nil {
		return nil, option.At("name_field", fmt.Errorf("name_field: %w", err))
	}
	return f, nil
}

// path splits the keys of a nested value.
func path(s string) ([]string, error) {
	var keys []string
	for _, key := range strings.Split(s, "|") {
		if key != "" {
			keys = append(keys, key)
		}
	}
	if len(keys) > maxDepth {
		return nil, errors.New("the path has more than 20 keys")
	}
	return keys, nil
}

// duration reads a number with s, m, h or d behind it, cut to whole seconds and
// at least one.
func duration(log *slog.Logger, name, s string, def time.Duration) time.Duration {
	unit := 1.0
	number := s
	if n := len(s) - 1; n >= 0 {
		switch s[n] {
		case 's':
			number = s[:n]
		case 'm':
			number, unit = s[:n], 60
		case 'h':
			number, unit = s[:n], 60*60
		case 'd':
			number, unit = s[:n], 24*60*60
		}
	}
	f, err := strconv.ParseFloat(strings.TrimLeft(number, " "), 64)
	if err != nil || !(f > 0) {
		log.Warn("the time is not a number of seconds, or a number with s, m, h or d, so the default counts", name, s, "default", def)
		return def
	}
	return time.Duration(math.Max(1, math.Min(f*unit, maxSeconds))) * time.Second
}

// Filter drops records.
type Filter struct {
	logField, nameField []string
	status              bool
	log                 *slog.Logger
	windows             windows
}

var (
	_ plugin.Filter  = (*Filter)(nil)
	_ plugin.Starter = (*Filter)(nil)
	_ plugin.Runner  = (*Filter)(nil)
)

// Start begins the first interval.
func (f *Filter) Start(context.Context) error {
	f.windows.since = f.windows.now()
	return nil
}

// Run logs the windows with every interval, if that is wanted.
func (f *Filter) Run(ctx context.Context, _ plugin.Emitter) error {
	if !f.status {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(f.windows.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		f.windows.each(func(name string, total int64) {
			f.log.Info("window", "window_name", name, "total", total, "rate", float64(total)/float64(f.windows.panes))
		})
	}
}

// Filter drops the events of b that are too much.
func (f *Filter) Filter(_ context.Context, b *event.Batch) error {
	f.windows.mu.Lock()
	defer f.windows.mu.Unlock()
	f.windows.slide()
	n := 0
	for i := range b.Events {
		e := &b.Events[i]
		if !f.passes(e) {
			continue
		}
		if n != i {
			b.Events[n] = *e
		}
		n++
	}
	if n < len(b.Events) {
		f.log.Info("records are too much for their windows and are dropped", "records", len(b.Events)-n)
	}
	clear(b.Events[n:])
	b.Events = b.Events[:n]
	return nil
}

// passes tells whether e passes and counts it. Records without the fields pass
// and are not counted. The lock is held.
func (f *Filter) passes(e *event.Event) bool {
	name := everything
	if len(f.nameField) > 0 {
		v, ok := lookup(e, f.nameField)
		if !ok {
			return true
		}
		if name, ok = v.Str(); !ok {
			return true
		}
	}
	var size int64
	if len(f.logField) > 0 {
		v, ok := lookup(e, f.logField)
		if !ok {
			return true
		}
		size = sizeOf(v)
	} else {
		size = sizeOf(e.Record())
	}
	passed, counted := f.windows.add(name, size)
	if !counted {
		f.log.Warn("there are too many windows, so a record is not counted", "window_name", string(name), "windows", f.windows.most)
	}
	return passed
}

// everything is the name of the window of all records.
var everything = []byte("*")

// lookup returns a nested value. Of several fields with a key the first counts.
func lookup(e *event.Event, keys []string) (event.Value, bool) {
	v := e.Record()
next:
	for _, key := range keys {
		for k, val := range v.Pairs() {
			if (event.Field{Key: k}).Is(key) {
				v = val
				continue next
			}
		}
		return nil, false
	}
	return v, true
}

// sizeOf is the number of bytes of text in v, keys included.
func sizeOf(v event.Value) (n int64) {
	switch v.Kind() {
	case event.KindString, event.KindBinary:
		s, _ := v.Str()
		return int64(len(s))
	case event.KindMap:
		for k, val := range v.Pairs() {
			n += sizeOf(k) + sizeOf(val)
		}
	case event.KindArray:
		for item := range v.Items() {
			n += sizeOf(item)
		}
	}
	return n
}
