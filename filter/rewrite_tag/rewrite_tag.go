// Package rewrite_tag is the filter rewrite_tag: it moves or copies records to
// a new tag, chosen by regular expressions over the record.
//
// The configuration is a list of rules (rule.go). The Filter asks them in order
// for every event, gathers the events of one new tag into one batch (groups.go)
// and emits that batch through an emitter of its own, which is an input of its
// own to the rest of the graph. Events that come by again are known by the
// context that they were emitted with (origin.go).
package rewrite_tag

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

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
		Name:    "rewrite_tag",
		Summary: "Moves or copies records to a new tag by rules",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	EmitterName        string
	EmitterStorage     string
	EmitterMemBufLimit int64 // bytes

	rules []rule
}

// The values of emitter_storage.type.
const (
	memory     = "memory"
	filesystem = "filesystem"
)

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	*c = Config{}
	return []option.Field{
		c.ruleField(),
		option.String(&c.EmitterName, "emitter_name", "",
			"The name of the input that the records with new tags seem to come from, in metrics and on disk. "+
				"By default `emitter_for_` and the filter's name or alias."),
		option.Enum(&c.EmitterStorage, "emitter_storage.type", memory, []string{memory, filesystem},
			"Where records with new tags are kept on their way. `filesystem` needs `storage.path` in the service section."),
		option.Size(&c.EmitterMemBufLimit, "emitter_mem_buf_limit", "10M",
			"How many bytes of records with new tags may be in memory. Beyond that the inputs wait. 0 is no limit of its own."),
	}
}

// New makes the filter.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	if len(c.rules) == 0 {
		env.Log.Warn("there is no rule, so no tag is changed")
	}
	f := &Filter{rules: slices.Clone(c.rules), log: env.Log, stats: env.Stats, out: env.Emitter(c.EmitterName)}
	if b, ok := f.out.(plugin.Buffered); ok {
		if err := b.Buffer(c.EmitterMemBufLimit, c.EmitterStorage == filesystem); err != nil {
			return nil, err
		}
	}
	f.emitted = env.Stats.Counter("fluentbit_filter_emit_records_total", "Total number of emitted records", "", "")
	groups := 0
	for i := range f.rules {
		r := &f.rules[i]
		groups = max(groups, r.regex.NumGroups()+1)
		if r.path == nil {
			env.Log.Warn("a rule does not name a key of the record and never matches", "rule", r.text)
		} else {
			accessor.WarnIgnored(env.Log, r.path, "rule", r.text)
		}
		if r.path != nil && env.Match != nil && env.Match(r.example()) {
			env.Log.Warn("the Match of this filter takes the new tag too; Fluent Bit calls this an infinite loop, here records are moved once only",
				"rule", r.text)
		}
	}
	f.work.New = func() any { return newWork(2 * groups) }
	return f, nil
}

// Filter moves or copies records to new tags.
type Filter struct {
	rules   []rule
	out     plugin.Emitter
	log     *slog.Logger
	stats   *plugin.Stats
	emitted *plugin.Counter
	told    atomic.Bool // of records that come by again
	work    sync.Pool   // of *work
}

var _ plugin.Filter = (*Filter)(nil)

// Filter emits the events that a rule matches with their new tags, and drops
// those of them that are not to be kept from b.
//
// When the emitter refuses events, because the process ends, they stay in b with
// their old tag, and b's ack is never released.
func (f *Filter) Filter(ctx context.Context, b *event.Batch) error {
	from := originOf(ctx)
	if from.turnedBack(f) {
		f.leave(b, from)
		return nil
	}
	w := f.work.Get().(*work)
	err := f.rewrite(ctx, b, w, from)
	w.reset()
	f.work.Put(w)
	return err
}

func (f *Filter) rewrite(ctx context.Context, b *event.Batch, w *work, from *origin) error {
	var err error
	for i := range b.Events {
		e := &b.Events[i]
		r := f.match(e, w)
		if r == nil || !f.compose(r, b.Tag, e, w) {
			continue
		}
		if w.ctx == nil {
			w.ctx = from.next(ctx, f)
			w.moved = slices.Grow(w.moved, len(b.Events))[:len(b.Events)]
			for j := range w.moved {
				w.moved[j] = stays
			}
		}
		if group := w.add(e); !r.keep {
			w.moved[i] = group
		}
		if len(w.groups) == maxGroups {
			if err = f.emit(b, w); err != nil {
				break
			}
		}
	}
	if w.ctx == nil {
		return nil
	}
	if err == nil {
		err = f.emit(b, w)
	}
	n := 0
	for i := range b.Events {
		if g := w.moved[i]; g != stays && g < w.sent {
			continue
		}
		if n != i {
			b.Events[n] = b.Events[i]
		}
		n++
	}
	clear(b.Events[n:])
	b.Events = b.Events[:n]
	return err
}

// match returns the first rule that matches, with its captures in w.
func (f *Filter) match(e *event.Event, w *work) *rule {
	for i := range f.rules {
		r := &f.rules[i]
		ok, err := r.matches(e, w)
		if err != nil {
			f.log.Warn("a regular expression was given up and counts as not matching", "rule", r.text, "error", err)
		}
		if ok {
			return r
		}
	}
	return nil
}

// maxTag is the length beyond which Fluent Bit cuts tags: 65535 bytes with
// four of a header (FLB_INPUT_CHUNK_TAG_MAX).
const maxTag = 65535 - 4

// compose puts the new tag into w. It returns false if there is none, where the
// record is better left as it is: Fluent Bit loses it.
func (f *Filter) compose(r *rule, tag string, e *event.Event, w *work) bool {
	r.appendTag(tag, e, w)
	switch n := len(w.tag); {
	case n == 0:
		f.log.Warn("the new tag is empty; the record keeps its tag", "rule", r.text, "tag", tag)
		f.unchanged("empty_tag").Add(1)
		return false
	case n > maxTag:
		f.log.Warn("a new tag is too long and is cut", "rule", r.text, "length", n, "limit", maxTag)
		w.tag = w.tag[:maxTag]
	}
	return true
}

// unchanged counts records that a rule matched but that were left as they were.
func (f *Filter) unchanged(reason string) *plugin.Counter {
	return f.stats.Counter("kagari_filter_unchanged_records_total",
		"Records that a filter should have changed but left as they were, by reason.", "reason", reason)
}

// emit emits the gathered batches in the order of their making and forgets
// them. After an error the rest is thrown away: their events are still in b.
func (f *Filter) emit(b *event.Batch, w *work) error {
	var err error
	for _, nb := range w.groups {
		if err != nil {
			nb.Free()
			continue
		}
		tag, n := nb.Tag, len(nb.Events)
		nb.Ack = b.Ack
		nb.Ack.Hold()
		if err = f.out.Emit(w.ctx, nb); err != nil {
			err = fmt.Errorf("emit records with the new tag %q: %w", tag, err)
			continue
		}
		w.sent++
		f.emitted.Add(n)
	}
	w.forget()
	return err
}
