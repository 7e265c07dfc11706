// Package sampling is the filter sampling: it keeps a share of the events, and
// always those that matter. level.go knows how bad the names of levels are.
package sampling

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/accessor"
	"github.com/kagarilog/kagari/internal/cnum"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the filter. Its other name is for processors, where sampling is
// Fluent Bit's for traces.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindFilter,
		Name:    "sampling",
		Aliases: []string{"log_sampling"},
		Summary: "Keeps a share of the events, and always those that matter",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// The values of without_key.
const (
	withoutSample = "sample"
	withoutKeep   = "keep"
	withoutDrop   = "drop"
)

// Config is the options of the filter.
type Config struct {
	Rate       int
	Percent    float64
	Key        string
	WithoutKey string
	LevelKey   string
	KeepLevel  string
	StatusKey  string
	KeepStatus int
	RateKey    string

	hasPercent bool
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	*c = Config{}
	return []option.Field{
		option.Int(&c.Rate, "rate", 0, "Keep one event in so many, 1 or more. Either this or `percent` is needed; 0 is as if it were not given.").WithOurs().
			WithCheck(func() error {
				if c.Rate < 0 {
					return errors.New("the rate must be 1 or more")
				}
				return nil
			}),
		option.Custom("percent", option.TypeFloat, "", "Keep so many events of a hundred: 0 to 100, with decimals.", func(v option.Value) error {
			p, err := strconv.ParseFloat(v.Text, 64)
			if err != nil || !(p >= 0 && p <= 100) {
				return fmt.Errorf("%q is no percentage of 0 to 100", v.Text)
			}
			c.Percent, c.hasPercent = p, true
			return nil
		}).WithOurs(),
		option.String(&c.Key, "key", "", "Events with the same value of this key, a record accessor such as `$trace_id`, are kept or dropped together, "+
			"also by other processes and after a restart. Without it events are chosen at random.").WithOurs(),
		option.Enum(&c.WithoutKey, "without_key", withoutSample, []string{withoutSample, withoutKeep, withoutDrop},
			"What is done with events that lack the `key`: `sample` chooses among them at random.").WithOurs(),
		option.String(&c.LevelKey, "level_key", "", "The key of the level, such as `$level`. Events with a level of `keep_level` or worse are always kept.").WithOurs(),
		option.Enum(&c.KeepLevel, "keep_level", "error", levelNames, "The least level that is always kept.").WithOurs(),
		option.String(&c.StatusKey, "status_key", "", "The key of a status, such as `$http_status`. Events with a number of `keep_status` or more are always kept.").WithOurs(),
		option.Int(&c.KeepStatus, "keep_status", 500, "The least status that is always kept.").WithOurs(),
		option.String(&c.RateKey, "rate_key", "", "The key of a field that is added to events that are kept: for how many events it stands, 1 if it is always kept.").WithOurs(),
	}
}

// New makes the filter.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	f := &Filter{without: c.WithoutKey, level: levels[c.KeepLevel], status: float64(c.KeepStatus), random: rand.Uint64}
	switch {
	case c.Rate > 0 && c.hasPercent:
		return nil, option.At("percent", errors.New("give either a rate or a percent, not both"))
	case c.Rate > 0:
		f.set(1 / float64(c.Rate))
		f.rate = event.AppendInt(nil, int64(c.Rate))
	case c.hasPercent:
		f.set(c.Percent / 100)
		if weight := 100 / c.Percent; weight == math.Trunc(weight) && weight < 1<<53 {
			f.rate = event.AppendInt(nil, int64(weight))
		} else {
			f.rate = event.AppendFloat(nil, weight)
		}
	default:
		return nil, errors.New("the filter needs a rate or a percent")
	}
	for _, k := range []struct {
		option, text string
		path         **event.Accessor
	}{{"key", c.Key, &f.key}, {"level_key", c.LevelKey, &f.levelKey}, {"status_key", c.StatusKey, &f.statusKey}} {
		if k.text == "" {
			continue
		}
		path, err := event.ParseAccessor(k.text)
		if err != nil {
			return nil, option.At(k.option, fmt.Errorf("%s: %w", k.option, err))
		}
		accessor.WarnIgnored(env.Log, path, "option", k.option, "key", k.text)
		*k.path = path
	}
	if c.RateKey != "" {
		f.rateName, f.rateKey = c.RateKey, event.AppendString(nil, c.RateKey)
	}
	for d, name := range decisionNames {
		f.counts[d] = env.Stats.Counter("kagari_sampling_events_total", "Events that the filter sampling decided about, by decision.", "decision", name)
	}
	return f, nil
}

// decision is what the filter does with an event and why.
type decision uint8

const (
	keptLevel decision = iota
	keptStatus
	keptChosen
	keptWithoutKey
	droppedNotChosen
	droppedWithoutKey
	numDecisions
)

var decisionNames = [numDecisions]string{"kept_level", "kept_status", "kept_chosen", "kept_without_key", "dropped_not_chosen", "dropped_without_key"}

// Filter keeps a share of the events.
type Filter struct {
	all    bool   // every event is chosen
	below  uint64 // an event is chosen if its number is less
	random func() uint64

	key       *event.Accessor // nil: chosen at random
	without   string
	levelKey  *event.Accessor // nil: levels do not count
	level     int
	statusKey *event.Accessor // nil: statuses do not count
	status    float64

	rateName string
	rateKey  event.Value // nil: no field is added
	rate     event.Value

	counts [numDecisions]*plugin.Counter
}

var _ plugin.Filter = (*Filter)(nil)

// set sets the share of events that are chosen, 0 to 1. Of two shares the
// smaller chooses from what the larger does.
func (f *Filter) set(share float64) {
	f.all = share >= 1
	if !f.all {
		f.below = uint64(math.Ldexp(share, 64))
	}
}

// one is the rate of events that are kept anyway.
var one = event.AppendInt(nil, 1)

// Filter drops the events of b that are not kept.
func (f *Filter) Filter(_ context.Context, b *event.Batch) error {
	var counts [numDecisions]int
	n := 0
	for i := range b.Events {
		e := &b.Events[i]
		d := f.decide(e)
		counts[d]++
		if d >= droppedNotChosen {
			continue
		}
		if f.rateKey != nil {
			f.mark(e, d)
		}
		if n != i {
			b.Events[n] = *e
		}
		n++
	}
	clear(b.Events[n:])
	b.Events = b.Events[:n]
	for d, n := range counts {
		if n > 0 {
			f.counts[d].Add(n)
		}
	}
	return nil
}

func (f *Filter) decide(e *event.Event) decision {
	if f.levelKey != nil {
		if v, ok := value(e, f.levelKey); ok && levelOf(v) >= f.level {
			return keptLevel
		}
	}
	if f.statusKey != nil {
		if v, ok := value(e, f.statusKey); ok && number(v) >= f.status {
			return keptStatus
		}
	}
	if f.key != nil {
		if v, ok := value(e, f.key); ok && v.Kind() != event.KindNil {
			return f.choose(hash(v))
		}
		switch f.without {
		case withoutKeep:
			return keptWithoutKey
		case withoutDrop:
			return droppedWithoutKey
		}
	}
	return f.choose(f.random())
}

func (f *Filter) choose(number uint64) decision {
	if f.all || number < f.below {
		return keptChosen
	}
	return droppedNotChosen
}

// mark adds the field with the rate in place of one with that name.
func (f *Filter) mark(e *event.Event, d decision) {
	rate := f.rate
	if d != keptChosen {
		rate = one
	}
	fields := e.Fields()
	n := 0
	for _, field := range fields {
		if !field.Is(f.rateName) {
			fields[n] = field
			n++
		}
	}
	e.SetFields(fields[:n])
	e.Append(f.rateKey, rate)
}

func value(e *event.Event, path *event.Accessor) (event.Value, bool) {
	top, ok := e.Get(path.Key())
	if !ok {
		return nil, false
	}
	return path.Descend(top)
}

// hash returns the XXH64 of a value's text, so that 5 and "5" are the same; of
// maps and arrays that of their bytes.
func hash(v event.Value) uint64 {
	if s, ok := v.Str(); ok {
		return xxhash.Sum64(s)
	}
	if k := v.Kind(); k == event.KindMap || k == event.KindArray || k == event.KindExt {
		return xxhash.Sum64(v)
	}
	buf := texts.Get().(*[]byte)
	defer texts.Put(buf)
	*buf, _ = event.AppendPlain((*buf)[:0], v)
	return xxhash.Sum64(*buf)
}

// texts are buffers for the text of a number; hash has one at a time.
var texts = sync.Pool{New: func() any { b := make([]byte, 0, 64); return &b }}

// number returns the number of a status, or that its text begins with; less
// than any if there is none.
func number(v event.Value) float64 {
	if s, ok := v.Str(); ok {
		if n, size := cnum.Float(s); size > 0 {
			return n
		}
	} else if n, ok := v.Float(); ok {
		return n
	}
	return math.Inf(-1)
}
