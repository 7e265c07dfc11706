// Package redact is the filter redact: it takes card numbers, mail addresses,
// tokens, passwords and the like out of records.
//
// A finder (find.go) looks for them in a text: numbers of cards (card.go), addresses
// (address.go), tokens (token.go), secrets behind names that patterns (keys.go)
// match (secret.go), and own rules. It looks closer only where a rare character
// stands. The walk (walk.go) goes through the values of a record and builds a new
// one only if something was found; what stands for a finding is in action.go.
package redact

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/regex"
)

//go:embed doc.md
var doc string

// Def describes the filter.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindFilter,
		Name:    "redact",
		Summary: "Takes card numbers, mail addresses, tokens and passwords out of records",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	Detectors   []string
	Action      string
	KeepLast    int // characters
	MaskChar    string
	HashKey     string
	Keys        []string
	ExcludeKeys []string
	SecretKeys  []string

	rules   []rule
	actions map[string]action
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	*c = Config{actions: map[string]action{}}
	fields := []option.Field{
		option.Strings(&c.Detectors, "detectors", "card,email,token,secret",
			"What is looked for: `card`, `email`, `ipv4`, `ipv6`, `aws_key`, `jwt`, `bearer`, `github_token`, `slack_token`, `api_key`, `private_key`, `secret`; "+
				"or `ip`, `token` and `all` for several of them; or `none`, for own rules only."),
		option.Enum(&c.Action, "action", actionNames[mask], actionNames,
			"What is done with a finding: `mask` it, `hash` it with `hash_key`, `drop` the field, or `drop_record`."),
		option.Prefixed("action.",
			"The action for one detector or rule, such as `action.card drop`.", func(key, value string) error {
				a := slices.Index(actionNames, strings.ToLower(value))
				if a < 0 {
					return fmt.Errorf("%q is not one of %s", value, strings.Join(actionNames, ", "))
				}
				c.actions[strings.ToLower(key)] = action(a)
				return nil
			}),
		option.Int(&c.KeepLast, "keep_last", 4,
			"How many characters at the end of a finding a mask leaves, if it is at least twice as long. Of secrets and private keys nothing is left.").WithUnit("characters"),
		option.String(&c.MaskChar, "mask_char", "*",
			"What stands for each character of a mask."),
		option.Secret(&c.HashKey, "hash_key",
			"The key of the hashes. Equal findings have equal hashes under the same key, and nobody without it can tell what they were."),
		option.Strings(&c.Keys, "keys", "*",
			"Patterns of the keys whose values are looked at, with `*` for any text and dots between the keys of nested maps, such as `log`, `http.request.*`. What is nested in such a value is looked at too."),
		option.Strings(&c.ExcludeKeys, "exclude_keys", "",
			"Patterns of the keys whose values are left as they are, with everything nested in them."),
		option.Strings(&c.SecretKeys, "secret_keys",
			"*password*,*passwd*,pwd,*secret*,authorization,proxy-authorization,*api_key*,*api-key*,*apikey*,token,*_token,*-token,*accesstoken*,*private_key*,*privatekey*,*credential*,cookie,set-cookie",
			"Patterns of the keys whose values the detector `secret` takes as a whole, whatever they are, and of names in text such as `password=x`."),
		c.ruleField(),
	}
	for i := range fields {
		fields[i] = fields[i].WithOurs()
		if fields[i].Type == option.TypeList {
			fields[i] = fields[i].WithRepeat() // Lists of YAML come so.
		}
	}
	return fields
}

// ruleField binds the own rules.
func (c *Config) ruleField() option.Field {
	var words [][]string
	return option.Words(&words, "rule", 2, 1,
		"A name and a regular expression, separated by a blank. What it matches, or its first group if it has one, is a finding.").
		WithCheck(func() error {
			for _, w := range words {
				re, err := regex.Compile(w[1])
				if err != nil {
					return err
				}
				c.rules = append(c.rules, rule{name: strings.ToLower(w[0]), regex: re, group: min(re.NumGroups(), 1)})
			}
			words = nil
			return nil
		})
}

// New makes the filter.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	on, err := c.detectors()
	if err != nil {
		return nil, err
	}
	if c.KeepLast < 0 {
		return nil, option.At("keep_last", fmt.Errorf("keep_last is %d; it must not be negative", c.KeepLast))
	}
	if c.MaskChar == "" || !utf8.ValidString(c.MaskChar) {
		return nil, option.At("mask_char", errors.New("mask_char must be a character"))
	}
	f := &Filter{log: env.Log, stats: env.Stats, config: *c}
	secrets, err := parsePatterns(c.SecretKeys)
	if err != nil {
		return nil, option.At("secret_keys", fmt.Errorf("secret_keys: %w", err))
	}
	if f.include, err = parsePatterns(c.Keys); err != nil {
		return nil, option.At("keys", fmt.Errorf("keys: %w", err))
	}
	if f.exclude, err = parsePatterns(c.ExcludeKeys); err != nil {
		return nil, option.At("exclude_keys", fmt.Errorf("exclude_keys: %w", err))
	}
	f.everything = slices.Contains(c.Keys, "*")
	f.paths = !f.everything || len(f.exclude) > 0
	if err := f.setActions(c); err != nil {
		return nil, err
	}
	f.finder = newFinder(on, secrets, slices.Clone(c.rules), func(r *rule, err error) {
		env.Stats.Counter("kagari_redact_errors_total", "Regular expressions that were given up, by rule.", "rule", r.name).Add(1)
		env.Log.Warn("a rule was given up in a text and may have missed something", "rule", r.name, "error", err)
	})
	for _, a := range f.actions {
		// What drops something wins over what only changes text.
		f.finder.weights = append(f.finder.weights, max(int(a)-int(hashed), 0))
	}
	for _, name := range f.names {
		f.counters = append(f.counters, env.Stats.Counter("kagari_redact_findings_total",
			"What was found and redacted, by detector.", "detector", name))
	}
	f.pool.New = func() any {
		return &work{f: f, replacer: newReplacer(f.config.MaskChar, f.config.KeepLast, f.config.HashKey), counts: make([]int, len(f.names))}
	}
	return f, nil
}

// detectors returns which ones are on.
func (c *Config) detectors() (on [detectors]bool, err error) {
	names := append(slices.Sorted(func(yield func(string) bool) {
		for name := range detectorGroups {
			if !yield(name) {
				return
			}
		}
	}), detectorNames[:]...)
	any := len(c.rules) > 0
	for _, word := range c.Detectors {
		word = strings.ToLower(word)
		if i := slices.Index(detectorNames[:], word); i >= 0 {
			on[i], any = true, true
		} else if group, ok := detectorGroups[word]; ok {
			for _, i := range group {
				on[i], any = true, true
			}
		} else if word != "none" {
			hint := option.DidYouMean(word, names)
			if hint == "" {
				hint = "they are " + strings.Join(names, ", ")
			}
			return on, option.At("detectors", fmt.Errorf("detectors: there is no %q; %s", word, hint))
		}
	}
	if !any {
		return on, errors.New("there is neither a detector nor a rule")
	}
	return on, nil
}

// setActions says what is done with the findings of each detector and rule.
func (f *Filter) setActions(c *Config) error {
	f.names = slices.Clone(detectorNames[:])
	for _, r := range c.rules {
		if slices.Contains(f.names, r.name) || detectorGroups[r.name] != nil {
			return option.AtText("rule", r.name, fmt.Errorf("rule: the name %q is taken", r.name))
		}
		f.names = append(f.names, r.name)
	}
	f.actions = slices.Repeat([]action{action(slices.Index(actionNames, c.Action))}, len(f.names))
	for _, name := range [...]string{"all", "ip", "token"} {
		if a, ok := c.actions[name]; ok {
			for _, i := range detectorGroups[name] {
				f.actions[i] = a
			}
		}
	}
	for name, a := range c.actions {
		if i := slices.Index(f.names, name); i >= 0 {
			f.actions[i] = a
		} else if detectorGroups[name] == nil {
			hint := option.DidYouMean(name, f.names)
			if hint == "" {
				hint = "they are " + strings.Join(f.names, ", ")
			}
			return option.At("action."+name, fmt.Errorf("action.%s: there is no such detector or rule; %s", name, hint))
		}
	}
	if c.HashKey == "" && slices.Contains(f.actions, hashed) {
		return option.At("action", errors.New("the action hash needs a hash_key, since card numbers and the like are found by trying without one"))
	}
	return nil
}

// Filter redacts records.
type Filter struct {
	config     Config
	finder     *finder
	names      []string // of detectors and rules
	actions    []action // by detector or rule
	counters   []*plugin.Counter
	include    patterns
	exclude    patterns
	everything bool // all keys are looked at, but for those of exclude
	paths      bool // the paths of values are needed
	log        *slog.Logger
	stats      *plugin.Stats
	pool       sync.Pool // of *work
}

var _ plugin.Filter = (*Filter)(nil)

// Filter redacts the events of b, with their metadata.
func (f *Filter) Filter(_ context.Context, b *event.Batch) error {
	w := f.pool.Get().(*work)
	w.batch = b
	n := 0
	for i := range b.Events {
		e := &b.Events[i]
		if !w.event(e) {
			continue
		}
		if n != i {
			b.Events[n] = *e
		}
		n++
	}
	if lost := len(b.Events) - n; lost > 0 {
		f.stats.Drop("redacted", lost)
		f.log.Info("records with a finding were dropped, as the action drop_record says", "tag", b.Tag)
	}
	clear(b.Events[n:])
	b.Events = b.Events[:n]
	for i, n := range w.counts {
		if n > 0 {
			f.counters[i].Add(n)
			w.counts[i] = 0
		}
	}
	w.batch = nil
	clear(w.changes[:cap(w.changes)]) // They refer to the memory of the batch.
	f.pool.Put(w)
	return nil
}

// event redacts an event. It returns false if it is to be dropped.
func (w *work) event(e *event.Event) bool {
	w.doomed = false
	w.path = w.path[:0]
	out, res := w.mapping(e.Record(), w.f.everything)
	if w.doomed {
		return false
	}
	if res == replaced {
		e.SetRecord(out)
	}
	if len(e.Meta) > 1 {
		w.path = w.path[:0]
		out, res = w.value(e.Meta, w.f.everything)
		if w.doomed {
			return false
		}
		if res == replaced {
			e.Meta = out
		}
	}
	return true
}
