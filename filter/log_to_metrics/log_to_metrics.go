// Package log_to_metrics is the filter log_to_metrics: it counts records, or
// takes numbers from them, and sends the result on as metrics.
//
// Rules (rule.go) say which records count. Labels and numbers are taken from the
// record (value.go) into a metric with a series for each set of labels
// (metric.go). The whole metric is emitted through an emitter of its own: after
// every record, or in intervals.
package log_to_metrics

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/accessor"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the filter.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindFilter,
		Name:    "log_to_metrics",
		Summary: "Makes metrics from records",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	Mode               string
	Tag                string
	Name               string
	Namespace          string
	Subsystem          string
	Description        string
	ValueField         string
	Buckets            []float64
	KubernetesMode     bool
	DiscardLogs        bool
	FlushSec           int
	FlushNsec          int // nanoseconds
	EmitterName        string
	EmitterMemBufLimit int64 // bytes
	MaxSeries          int

	rules  []rule
	labels []label
}

// The modes.
const (
	counter   = "counter"
	gauge     = "gauge"
	histogram = "histogram"
)

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	*c = Config{}
	return []option.Field{
		option.String(&c.Mode, "metric_mode", counter,
			"`counter`: how many records there were. `gauge`: the last value of value_field. `histogram`: how the values of value_field are spread.").
			WithCheck(c.checkMode),
		option.String(&c.Tag, "tag", "",
			"The tag of the metrics.").WithRequired(),
		option.String(&c.Name, "metric_name", "a",
			"The name of the metric, which follows namespace and subsystem."),
		option.String(&c.Namespace, "metric_namespace", "log_metric",
			"The first part of the metric's name."),
		option.String(&c.Subsystem, "metric_subsystem", "",
			"The second part of the metric's name. By default it is the mode."),
		option.String(&c.Description, "metric_description", "",
			"The help text of the metric.").WithRequired(),
		option.String(&c.ValueField, "value_field", "",
			"The key, or a record accessor, of the number for a gauge or a histogram. Text counts as the number that it begins with."),
		bucketField(&c.Buckets),
		c.labelField("label_field", "A key whose value becomes a label of the same name."),
		c.labelField("add_label", "The name of a label and a key or record accessor for its value, separated by a blank."),
		option.Bool(&c.KubernetesMode, "kubernetes_mode", false,
			"Add the labels namespace_name, pod_name, container_name, docker_id and pod_id from what the filter kubernetes adds."),
		c.ruleField("regex", false,
			"A key and a regular expression, separated by a blank. Only records whose value matches count."),
		c.ruleField("exclude", true,
			"A key and a regular expression, separated by a blank. Records whose value matches do not count."),
		option.Bool(&c.DiscardLogs, "discard_logs", false,
			"Drop all records that come to the filter, whether they count or not."),
		option.Int(&c.FlushSec, "flush_interval_sec", 0,
			"Time between two emissions of the metric. Without it and flush_interval_nsec the metric is emitted after every record.").WithUnit("seconds"),
		option.Int(&c.FlushNsec, "flush_interval_nsec", 0,
			"Nanoseconds to be added to flush_interval_sec.").WithUnit("nanoseconds"),
		option.String(&c.EmitterName, "emitter_name", "",
			"The name of the input that the metrics seem to come from. By default `emitter_for_` and the filter's name or alias."),
		option.Size(&c.EmitterMemBufLimit, "emitter_mem_buf_limit", "10M",
			"How many bytes of metrics may be in memory. Beyond that the inputs wait. 0 is no limit of its own."),
		option.Int(&c.MaxSeries, "max_series", 10000,
			"How many different sets of labels there may be. Records with others do not count. 0 is no limit.").WithOurs(),
	}
}

func (c *Config) checkMode() error {
	switch strings.ToLower(c.Mode) {
	case counter, gauge, histogram:
		return nil
	}
	return fmt.Errorf("%q is not one of %s, %s, %s", c.Mode, counter, gauge, histogram)
}

// New makes the filter.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	if c.Tag == "" || c.Name == "" || c.Description == "" {
		return nil, errors.New("tag, metric_name and metric_description must not be empty")
	}
	f := &Filter{
		rules: slices.Clone(c.rules), tag: c.Tag, discard: c.DiscardLogs, every: c.interval(),
		log: env.Log, out: env.Emitter(c.EmitterName),
		counts: counts{
			noValue: unchanged(env, "no_value"), noNumber: unchanged(env, "no_number"), tooMany: unchanged(env, "too_many_series"),
		},
	}
	if b, ok := f.out.(plugin.Buffered); ok {
		if err := b.Buffer(c.EmitterMemBufLimit, false); err != nil {
			return nil, err
		}
	}
	labels := c.allLabels(env.Log)
	if len(labels) > maxLabels {
		return nil, fmt.Errorf("there are %d labels, which is more than %d", len(labels), maxLabels)
	}
	mode := strings.ToLower(c.Mode)
	if mode != counter {
		if c.ValueField == "" {
			return nil, option.At("metric_mode", fmt.Errorf("value_field is needed for a %s", mode))
		}
		var err error
		if f.value, err = event.ParseAccessor(c.ValueField); err != nil {
			return nil, option.At("value_field", fmt.Errorf("value_field: %w", err))
		}
		accessor.WarnIgnored(env.Log, f.value, "where", "value_field")
	}
	for i := range f.rules {
		accessor.WarnIgnored(env.Log, f.rules[i].path, "where", f.rules[i].text)
	}
	bounds := slices.Clone(c.Buckets)
	if slices.Sort(bounds); len(bounds) == 0 {
		bounds = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	}
	name := fullName(c.Namespace, cmp.Or(c.Subsystem, c.Mode), c.Name)
	for _, text := range append([]string{name, c.Description}, names(labels)...) {
		if !utf8.ValidString(text) {
			return nil, fmt.Errorf("%q is not valid UTF-8, as names and descriptions of metrics must be", text)
		}
	}
	limit := c.MaxSeries
	if limit <= 0 {
		limit = math.MaxInt
	}
	f.metric = newMetric(mode, name, c.Description, env.Service.Version, labels, bounds, limit)
	return f, nil
}

func unchanged(env *plugin.Env, reason string) *plugin.Counter {
	return env.Stats.Counter("kagari_filter_unchanged_records_total",
		"Records that a filter should have changed but left as they were, by reason.", "reason", reason)
}

// fullName puts the parts together as the library cmetrics does.
func fullName(namespace, subsystem, name string) string {
	s := namespace
	if s != "" {
		s += "_"
	}
	if s += subsystem; !strings.HasSuffix(s, "_") {
		s += "_"
	}
	return s + name
}

// interval returns the time between two emissions, or 0.
func (c *Config) interval() time.Duration {
	d := option.Times(max(c.FlushSec, 0), time.Second) + option.Times(max(c.FlushNsec, 0), 1)
	if d > 0 {
		return max(d, time.Millisecond)
	}
	return 0
}

// counts is of records that do not get into the metric though they should.
type counts struct{ noValue, noNumber, tooMany *plugin.Counter }

// Filter makes metrics.
type Filter struct {
	rules   []rule
	value   *event.Accessor // nil for counters
	tag     string
	discard bool
	every   time.Duration // 0: after every record
	log     *slog.Logger
	out     plugin.Emitter
	counts  counts

	// mu is held also while the metric is emitted, so that its values do not seem
	// to go back.
	mu      sync.Mutex
	metric  *metric
	changed bool // since it was emitted
}

var (
	_ plugin.Filter = (*Filter)(nil)
	_ plugin.Runner = (*Filter)(nil)
)

// maxPoints bounds the work of emitting the metric after every record: if records
// and series of a batch multiply to more, it is emitted once for the batch. What
// arrives in the end is the same.
const maxPoints = 10000

// Filter takes the records of b into the metric.
func (f *Filter) Filter(ctx context.Context, b *event.Batch) error {
	f.mu.Lock()
	var payload []byte
	single := f.every == 0 && len(b.Events)*max(1, f.metric.len()) <= maxPoints
	for i := range b.Events {
		e := &b.Events[i]
		if !f.keeps(e) {
			continue
		}
		f.observe(e)
		f.changed = true
		if single {
			payload = f.metric.append(payload)
		}
	}
	if f.every == 0 && f.changed {
		if !single {
			payload = f.metric.append(payload)
		}
		f.emit(ctx, payload)
	}
	f.mu.Unlock()
	if f.discard {
		clear(b.Events)
		b.Events = b.Events[:0]
	}
	return nil
}

// keeps tells whether a record counts: the first regex that matches says yes, the
// first one that does not, or exclude that does, says no.
func (f *Filter) keeps(e *event.Event) bool {
	for i := range f.rules {
		r := &f.rules[i]
		ok, err := r.matches(e)
		if err != nil {
			f.log.Warn("a regular expression was given up and counts as not matching", "rule", r.text, "error", err)
		}
		if ok {
			return !r.exclude
		}
		if !r.exclude {
			return false
		}
	}
	return true
}

// observe takes a record into the metric.
func (f *Filter) observe(e *event.Event) {
	n := 1.0
	if f.value != nil {
		v, ok := lookup(f.value, e)
		if !ok {
			f.counts.noValue.Add(1)
			f.log.Warn("a record lacks the value_field and does not count", "value_field", f.value.String())
			return
		}
		if n, ok = number(v); !ok {
			f.counts.noNumber.Add(1)
			f.log.Warn("the value_field of a record is no number; it does not count", "value_field", f.value.String())
			return
		}
	}
	if !f.metric.observe(e, n, time.Now()) {
		f.counts.tooMany.Add(1)
		f.log.Warn("there are too many different labels; records with new ones do not count", "max_series", f.metric.limit)
	}
}

// emit sends a marshalled metric on. Without success it stays changed. f.mu is
// held.
func (f *Filter) emit(ctx context.Context, payload []byte) {
	if f.metric.len() == 0 {
		f.changed = false
		return
	}
	b := event.NewBatch(f.tag)
	b.Signal, b.Payload = event.Metrics, payload
	if err := f.out.Emit(ctx, b); err != nil {
		f.log.Warn("metrics could not be emitted; the next ones contain them", "tag", f.tag, "error", err)
		return
	}
	f.changed = false
}

// lastEmission is how long the emission at the end may wait for memory.
const lastEmission = 5 * time.Second

// Run emits the metric in intervals, and what has not been emitted at the end.
func (f *Filter) Run(ctx context.Context, _ plugin.Emitter) error {
	flush := func(ctx context.Context) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.changed {
			f.emit(ctx, f.metric.append(nil))
		}
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastEmission)
		defer cancel()
		flush(last)
	}()
	if f.every == 0 {
		<-ctx.Done()
		return nil
	}
	t := time.NewTicker(f.every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			flush(ctx)
		}
	}
}
