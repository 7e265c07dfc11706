// Package modify is the filter modify: it renames, copies, adds, removes and
// moves fields by rules, of which some files of this package each hold a part:
// rule.go what is done to a record, condition.go when.
package modify

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"slices"
	"strings"

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
		Name:    "modify",
		Summary: "Renames, copies, adds, removes and moves fields by rules and conditions",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	rules      []rule // in the order of the configuration
	conditions []condition
	warnings   []string
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	*c = Config{}
	return []option.Field{
		c.ruleField("set", opSet, "A key and a value, which is added at the end; a field with the key is removed before."),
		c.ruleField("add", opAdd, "A key and a value, which is added if the key does not exist."),
		c.ruleField("remove", opRemove, "A key to remove."),
		c.ruleField("remove_wildcard", opRemoveWildcard, "The start of the keys to remove."),
		c.ruleField("remove_regex", opRemoveRegex, "A regular expression for the keys to remove."),
		c.ruleField("move_to_start", opMoveToStart, "The start of the keys to move to the start of the record."),
		c.ruleField("move_to_end", opMoveToEnd, "The start of the keys to move to the end of the record."),
		c.ruleField("rename", opRename, "A key and its new name, unless there is a field with that name."),
		c.ruleField("hard_rename", opHardRename, "A key and its new name; a field with that name is removed."),
		c.ruleField("copy", opCopy, "A key and the name of its copy, unless there is a field with that name."),
		c.ruleField("hard_copy", opHardCopy, "A key and the name of its copy; a field with that name is removed."),
		c.lines("condition", "When the rules are applied, wherever it is written: a kind of condition and its arguments. "+
			"`Key_exists`, `Key_does_not_exist`, `A_key_matches` and `No_key_matches` take a key or an expression for it; "+
			"`Key_value_equals`, `Key_value_does_not_equal`, `Key_value_matches` and `Key_value_does_not_match` a key and text or an expression; "+
			"`Matching_keys_have_matching_values` and `Matching_keys_do_not_have_matching_values` an expression for keys and one for values. "+
			"All conditions must hold.", func(line string) error {
			cond, err := parseCondition(line)
			if err == nil {
				c.conditions = append(c.conditions, cond)
			}
			return err
		}),
	}
}

func (c *Config) ruleField(name string, o op, doc string) option.Field {
	return c.lines(name, doc, func(line string) error {
		r, warning, err := parseRule(o, line)
		if err != nil {
			return err
		}
		if warning != "" {
			c.warnings = append(c.warnings, name+" "+line+": "+warning)
		}
		c.rules = append(c.rules, r)
		return nil
	})
}

// lines is a repeatable option whose values are handed to take, one by one.
func (c *Config) lines(name, doc string, take func(line string) error) option.Field {
	var lines []string
	return option.Lines(&lines, name, doc).WithCheck(func() error {
		all := lines
		lines = nil
		for _, line := range all {
			if err := take(line); err != nil {
				return err
			}
		}
		return nil
	})
}

// New makes the filter.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	for _, w := range c.warnings {
		env.Log.Warn("a rule does something else than it says, as in Fluent Bit", "rule", w)
	}
	for _, cond := range c.conditions {
		if cond.noArguments {
			env.Log.Warn("a condition names no key, so its own name is taken for one, as in Fluent Bit", "condition", cond.text)
		}
		if cond.usesPath() {
			if cond.path == nil {
				env.Log.Warn("a condition does not name a key of the record, so it finds none", "condition", cond.text)
			} else {
				accessor.WarnIgnored(env.Log, cond.path, "condition", cond.text)
			}
		}
	}
	if len(c.rules) == 0 {
		env.Log.Warn("there are no rules, so nothing is modified")
	}
	return &Filter{rules: slices.Clone(c.rules), conditions: slices.Clone(c.conditions), log: env.Log}, nil
}

// Filter modifies records.
type Filter struct {
	rules      []rule
	conditions []condition
	log        *slog.Logger
}

var _ plugin.Filter = (*Filter)(nil)

// Filter applies the rules to those events of b that meet the conditions.
func (f *Filter) Filter(_ context.Context, b *event.Batch) error {
	if len(f.rules) == 0 {
		return nil
	}
	for i := range b.Events {
		e := &b.Events[i]
		if !f.holds(e) {
			continue
		}
		for j := range f.rules {
			f.apply(&f.rules[j], e)
		}
	}
	return nil
}

func (f *Filter) holds(e *event.Event) bool {
	for i := range f.conditions {
		if !f.conditions[i].holds(e, f.log) {
			return false
		}
	}
	return true
}

// splitWords splits a value at blanks into at most four words, the fourth being
// the rest. Words can be in single or double quotes, in which a backslash
// takes the meaning from a quote or a backslash. The rules are those of
// Fluent Bit (flb_utils_split_quoted).
func splitWords(s string) ([]string, error) {
	var words []string
	for i := 0; i < len(s); {
		for i < len(s) && s[i] == ' ' {
			i++
		}
		if i < len(s) && (s[i] == '"' || s[i] == '\'') {
			word, end, ok := quoted(s, i+1, s[i])
			if !ok {
				return nil, fmt.Errorf("%q has a quote without its end", s)
			}
			words, i = append(words, word), end
		} else {
			word, _, _ := strings.Cut(s[i:], " ")
			words = append(words, word)
			i += len(word)
		}
		// The character that ended the word.
		i++
		if len(words) == 3 && i < len(s) {
			return append(words, s[i:]), nil
		}
	}
	return words, nil
}

// quoted returns the text from offset i to the quote that ends it, and the
// offset of that quote.
func quoted(s string, i int, quote byte) (word string, end int, ok bool) {
	var b strings.Builder
	for ; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return b.String(), i, true
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == quote || s[i+1] == '\\'):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", 0, false
}
