// Package dummy is the input dummy: it makes up records, for tests.
package dummy

import (
	"context"
	_ "embed"
	"log/slog"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the input.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindInput,
		Name:    "dummy",
		Summary: "Makes up records, for tests",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the input.
type Config struct {
	Dummy          string
	Metadata       string
	Samples        int
	Rate           int
	IntervalSec    int
	IntervalNsec   int
	Copies         int
	StartTimeSec   int
	StartTimeNsec  int
	FixedTimestamp bool
	FlushOnStartup bool

	testHang bool
}

const (
	defaultDummy    = `{"message":"dummy"}`
	defaultMetadata = `{}`
)

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.String(&c.Dummy, "dummy", defaultDummy,
			"The record, as a JSON object; several objects after each other make several records. Text that is no JSON gives the default."),
		option.String(&c.Metadata, "metadata", defaultMetadata,
			"The metadata of the record, as a JSON object."),
		option.Int(&c.Samples, "samples", 0,
			"How many times records are made; 0 means for ever."),
		option.Int(&c.Rate, "rate", 1,
			"How many times a second records are made."),
		option.Int(&c.IntervalSec, "interval_sec", 0,
			"Seconds between two times. It and interval_nsec win over rate.").WithUnit("seconds"),
		option.Int(&c.IntervalNsec, "interval_nsec", 0,
			"Nanoseconds to be added to interval_sec.").WithUnit("nanoseconds"),
		option.Int(&c.Copies, "copies", 1,
			"How many equal records are made each time."),
		option.Int(&c.StartTimeSec, "start_time_sec", -1,
			"Time of the first record in seconds since 1970; later ones follow with the clock.").WithUnit("seconds"),
		option.Int(&c.StartTimeNsec, "start_time_nsec", -1,
			"Nanoseconds to be added to start_time_sec.").WithUnit("nanoseconds"),
		option.Bool(&c.FixedTimestamp, "fixed_timestamp", false,
			"Give all records the time of the first."),
		option.Bool(&c.FlushOnStartup, "flush_on_startup", false,
			"Make the first records at once instead of after the first interval."),
		option.Bool(&c.testHang, "test_hang_on_exit", false,
			"Accepted for compatibility; it serves tests of Fluent Bit."),
	}
}

// New makes the input.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	in := &Input{
		tag:     env.OwnTag(),
		every:   c.every(),
		samples: c.Samples,
		copies:  max(0, c.Copies),
		atOnce:  c.FlushOnStartup,
		fixed:   c.FixedTimestamp,
		start:   -1,
		records: objects(env.Log, "dummy", c.Dummy, defaultDummy),
	}
	if meta := objects(env.Log, "metadata", c.Metadata, defaultMetadata); len(meta) > 0 {
		in.meta = meta[0]
	}
	if len(in.meta) == 1 { // {}
		in.meta = nil
	}
	if c.StartTimeSec >= 0 || c.StartTimeNsec >= 0 {
		in.start = int64(max(0, c.StartTimeSec))*1e9 + int64(max(0, c.StartTimeNsec))
	}
	return in, nil
}

// every is the time between two records: the interval if there is one that
// makes sense, else that of the rate.
func (c *Config) every() time.Duration {
	if c.IntervalSec >= 0 && c.IntervalNsec >= 0 && c.IntervalSec+c.IntervalNsec > 0 {
		return option.Times(c.IntervalSec, time.Second) + option.Times(c.IntervalNsec, 1)
	}
	return max(1, time.Second/time.Duration(max(1, c.Rate)))
}

// objects returns the JSON objects that text consists of, up to what is no
// JSON; those of instead if it does not even begin with a value.
func objects(log *slog.Logger, name, text, instead string) (found []event.Value) {
	values := 0
	for rest := event.SkipJSONSpace([]byte(text)); len(rest) > 0; rest = event.SkipJSONSpace(rest) {
		v, after, err := event.AppendJSON(nil, rest)
		if err != nil {
			log.Warn("the text of an option is no JSON from some point on", "option", name, "text", string(rest), "error", err)
			break
		}
		values++
		if event.Value(v).Kind() == event.KindMap {
			found = append(found, v)
		} else {
			log.Warn("a JSON value that is no object makes no record", "option", name, "value", string(rest[:len(rest)-len(after)]))
		}
		rest = after
	}
	if values == 0 && text != instead {
		return objects(log, name, instead, instead)
	}
	return found
}

// Input makes up records.
type Input struct {
	tag     string
	every   time.Duration
	samples int // 0 for any number
	copies  int
	atOnce  bool
	fixed   bool
	start   int64 // time of the first record, -1 for the present
	records []event.Value
	meta    event.Value

	began time.Time // when Run was first called
	made  int       // how many times records were made
}

var _ plugin.Input = (*Input)(nil)

// Limits of the loop: it does not wake up more often than shortest, makes up
// for lost time of at most catchUp, and emits batches of about batchSize.
const (
	shortest  = 5 * time.Millisecond
	catchUp   = time.Second
	batchSize = 4096
)

// Run makes records until ctx ends or there were enough.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	if in.began.IsZero() {
		in.began = time.Now()
	}
	last := time.Now()
	if in.atOnce && in.made == 0 {
		if err := in.emit(ctx, out, 1); err != nil {
			return err
		}
	}
	t := time.NewTicker(max(in.every, shortest))
	defer t.Stop()
	for !in.done() {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		late := min(time.Since(last), max(catchUp, in.every))
		due := int(late / in.every)
		if due == 0 { // the timer was early by a hair
			due = 1
		}
		last = time.Now().Add(-late % in.every)
		if err := in.emit(ctx, out, due); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
	return nil
}

func (in *Input) done() bool { return in.samples > 0 && in.made >= in.samples }

// emit makes records due times, or fewer if that is all that is wanted.
func (in *Input) emit(ctx context.Context, out plugin.Emitter, due int) error {
	b := event.NewBatch(in.tag)
	for ; due > 0 && !in.done(); due-- {
		now := in.now()
		for range in.copies {
			for _, r := range in.records {
				e := b.Add(now)
				e.SetRecord(r)
				e.Meta = in.meta
			}
			if len(b.Events) >= batchSize {
				if err := out.Emit(ctx, b); err != nil {
					return err
				}
				b = event.NewBatch(in.tag)
			}
		}
		in.made++
	}
	if len(b.Events) == 0 {
		b.Free()
		return nil
	}
	return out.Emit(ctx, b)
}

// now is the time of the next record.
func (in *Input) now() int64 {
	switch {
	case in.start < 0 && in.fixed:
		return in.began.UnixNano()
	case in.start < 0:
		return time.Now().UnixNano()
	case in.fixed:
		return in.start
	}
	return in.start + int64(time.Since(in.began))
}
