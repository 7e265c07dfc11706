package rewrite_tag

import (
	"fmt"
	"strings"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/regex"
)

// rule is one Rule of the configuration.
type rule struct {
	text  string // as written
	path  *event.Accessor
	regex *regex.Regexp
	tag   *event.Template
	// captures says that the new tag may refer to captures, which cost more than
	// to tell whether there is a match.
	captures bool
	keep     bool
}

// ruleWords is how many words a rule has. What follows has no meaning.
const ruleWords = 4

func (c *Config) ruleField() option.Field {
	var words [][]string
	return option.Words(&words, "rule", ruleWords, ruleWords,
		"Four words: a key such as `$level` or `$k['app']`, a regular expression, the new tag and whether the record is kept "+
			"under its old tag too. Words with blanks stand in double quotes. The new tag may contain `$TAG`, `$TAG[n]`, captures `$0` to `$9` "+
			"and values of the record. The first rule that matches counts.").
		WithCheck(func() error {
			var odd error
			for _, w := range words {
				r, err := parseRule(w)
				if r == nil {
					return err
				}
				if err != nil {
					odd = err
				}
				c.rules = append(c.rules, *r)
			}
			words = nil
			return odd
		})
}

// parseRule reads the words of a rule. An error together with a rule is one
// that Fluent Bit does not mind.
func parseRule(words []string) (*rule, error) {
	r := &rule{text: strings.Join(words, " ")}
	var err error
	if r.path, err = event.ParseAccessor(words[0]); err != nil {
		// What names the tag or a capture is accepted by Fluent Bit and finds nothing.
		if t, terr := event.ParseTemplate(words[0]); terr != nil || len(words[0]) < 2 || len(t.Accessors()) > 0 {
			return nil, err
		}
	}
	if r.regex, err = regex.Compile(words[1]); err != nil {
		return nil, err
	}
	if r.tag, err = event.ParseTemplate(words[2]); err != nil {
		return nil, fmt.Errorf("new tag: %w", err)
	}
	for i := range len(words[2]) - 1 {
		if next := words[2][i+1]; words[2][i] == '$' && next >= '0' && next <= '9' {
			// Fluent Bit has no captures, not even the whole match, where the
			// expression has no groups.
			r.captures = r.regex.NumGroups() > 0
		}
	}
	if r.keep, err = option.ParseBool(words[3]); err != nil {
		return r, option.Lenient("%v; the rule %q counts as one with false", err, r.text)
	}
	if len(words) > ruleWords {
		return r, option.Lenient("%q has no meaning behind the four words of a rule", words[ruleWords])
	}
	return r, nil
}

// matches tells whether the value at the rule's key is text that its expression
// matches. The captures are in w then, if the new tag needs them.
func (r *rule) matches(e *event.Event, w *work) (bool, error) {
	if r.path == nil {
		return false, nil
	}
	top, ok := e.Get(r.path.Key())
	if !ok {
		return false, nil
	}
	v, ok := r.path.Descend(top)
	if !ok || v.Kind() != event.KindString {
		return false, nil
	}
	text, _ := v.Str()
	if !r.captures {
		return r.regex.TryMatch(text)
	}
	var err error
	w.text = text
	w.caps, ok, err = r.regex.FindAt(text, 0, w.caps)
	return ok, err
}

// appendTag makes the new tag in w.
func (r *rule) appendTag(tag string, e *event.Event, w *work) {
	args := event.TemplateArgs{Tag: tag, Lookup: e.Get}
	if r.captures {
		args.Capture = w.capture
	}
	w.tag, _ = r.tag.AppendWith(w.tag[:0], args)
}

// example returns a new tag with unlikely text for all that depends on the
// record or the old tag. A Match that takes it takes every new tag of the rule,
// or nearly so.
func (r *rule) example() string {
	const unlikely = "\x00"
	value := event.AppendString(nil, unlikely)
	tag, _ := r.tag.AppendWith(nil, event.TemplateArgs{
		Tag:     unlikely,
		Lookup:  func(string) (event.Value, bool) { return value, true },
		Capture: func(int) []byte { return []byte(unlikely) },
	})
	return string(tag)
}
