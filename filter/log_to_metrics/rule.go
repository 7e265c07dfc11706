package log_to_metrics

import (
	"fmt"
	"strings"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/regex"
)

// rule is one regex or exclude.
type rule struct {
	text    string
	path    *event.Accessor
	regex   *regex.Regexp
	exclude bool
}

// ruleField binds an option to the list of rules that both share, as their order
// counts.
func (c *Config) ruleField(name string, exclude bool, doc string) option.Field {
	var lines []string
	return option.Lines(&lines, name, doc).WithCheck(func() error {
		for _, line := range lines {
			key, pattern, ok := pair(line)
			if !ok {
				return fmt.Errorf("%q is not a key and a regular expression, separated by a blank", line)
			}
			r := rule{text: line, exclude: exclude}
			var err error
			if r.path, err = event.ParseAccessor(key); err != nil {
				return err
			}
			if r.regex, err = regex.Compile(pattern); err != nil {
				return err
			}
			c.rules = append(c.rules, r)
		}
		lines = nil
		return nil
	})
}

// pair splits a line at its first blank.
func pair(line string) (first, rest string, ok bool) {
	first, rest, _ = strings.Cut(strings.TrimLeft(line, " "), " ")
	return first, rest, first != "" && rest != ""
}

// matches tells whether the rule's value is text that the expression matches.
func (r *rule) matches(e *event.Event) (bool, error) {
	v, ok := lookup(r.path, e)
	if !ok || v.Kind() != event.KindString {
		return false, nil
	}
	text, _ := v.Str()
	return r.regex.TryMatch(text)
}

// lookup finds a value without opening the record.
func lookup(path *event.Accessor, e *event.Event) (event.Value, bool) {
	top, ok := e.Get(path.Key())
	if !ok {
		return nil, false
	}
	return path.Descend(top)
}
