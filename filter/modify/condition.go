package modify

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/regex"
)

// The kinds of conditions, as they are written, in lower case.
const (
	keyExists           = "key_exists"
	keyDoesNotExist     = "key_does_not_exist"
	aKeyMatches         = "a_key_matches"
	noKeyMatches        = "no_key_matches"
	valueEquals         = "key_value_equals"
	valueDoesNotEqual   = "key_value_does_not_equal"
	valueMatches        = "key_value_matches"
	valueDoesNotMatch   = "key_value_does_not_match"
	matchingValues      = "matching_keys_have_matching_values"
	notAllMatchingValue = "matching_keys_do_not_have_matching_values"
)

var kinds = []string{keyExists, keyDoesNotExist, aKeyMatches, noKeyMatches, valueEquals, valueDoesNotEqual,
	valueMatches, valueDoesNotMatch, matchingValues, notAllMatchingValue}

// condition is one test of a record.
type condition struct {
	text string // as written
	kind string
	path *event.Accessor // nil: no place in a record
	// noKey says that the path ends at an element of a list.
	noKey       bool
	noArguments bool
	value       string
	keys, vals  *regex.Regexp
}

// parseCondition reads the value of a condition.
func parseCondition(line string) (condition, error) {
	words, err := splitWords(line)
	if err != nil {
		return condition{}, err
	}
	if len(words) == 0 || len(words) > 3 {
		return condition{}, fmt.Errorf("%q has %d words where a kind of condition and one or two arguments are expected; put text with blanks in quotes",
			line, len(words))
	}
	c := condition{text: line, kind: strings.ToLower(words[0])}
	if !slices.Contains(kinds, c.kind) {
		msg := fmt.Sprintf("%q is no condition; there are %s", words[0], strings.Join(kinds, ", "))
		if hint := option.DidYouMean(words[0], kinds); hint != "" {
			msg += "; " + hint
		}
		return condition{}, fmt.Errorf("%s", msg)
	}
	if len(words) == 1 {
		// Fluent Bit then takes the kind for the key.
		words = append(words, words[0])
		c.noArguments = true
	}
	if len(words) == 3 {
		c.value = words[2]
	}
	key := words[1]
	switch c.kind {
	case aKeyMatches, noKeyMatches, matchingValues, notAllMatchingValue:
		if key == "" {
			return condition{}, fmt.Errorf("%q has no expression for the key", line)
		}
		if c.keys, err = regex.Compile(key); err != nil {
			return condition{}, err
		}
	default:
		if c.path, err = event.ParseAccessor(key); err != nil {
			// What names the tag or a capture is accepted by Fluent Bit and finds nothing.
			if t, terr := event.ParseTemplate(key); terr != nil || len(key) < 2 || len(t.Accessors()) > 0 {
				return condition{}, err
			}
		} else {
			c.noKey = c.path.EndsInIndex()
		}
	}
	switch c.kind {
	case valueMatches, valueDoesNotMatch, matchingValues, notAllMatchingValue:
		if c.value == "" {
			return condition{}, fmt.Errorf("%q has no expression for the value", line)
		}
		if c.vals, err = regex.Compile(c.value); err != nil {
			return condition{}, err
		}
	}
	return c, nil
}

// usesPath tells whether the condition is about one key.
func (c *condition) usesPath() bool { return c.keys == nil }

// holds tells whether the condition is met. A missing key fails all conditions
// about its value, the negated ones too.
func (c *condition) holds(e *event.Event, log *slog.Logger) bool {
	switch c.kind {
	case aKeyMatches, noKeyMatches:
		return c.aKeyMatches(e, log) == (c.kind == aKeyMatches)
	case matchingValues, notAllMatchingValue:
		return c.allMatch(e, log) == (c.kind == matchingValues)
	}
	v, ok := c.lookup(e)
	switch c.kind {
	case keyExists:
		return ok
	case keyDoesNotExist:
		return !ok
	case valueEquals:
		return ok && equals(v, c.value)
	case valueDoesNotEqual:
		return ok && !equals(v, c.value)
	case valueMatches:
		return ok && matches(c.vals, v, log)
	default:
		return ok && !matches(c.vals, v, log)
	}
}

func (c *condition) lookup(e *event.Event) (event.Value, bool) {
	if c.path == nil {
		return nil, false
	}
	top, ok := e.Get(c.path.Key())
	if !ok {
		return nil, false
	}
	if c.noKey && (top.Kind() == event.KindMap || top.Kind() == event.KindArray) {
		return nil, false
	}
	return c.path.Descend(top)
}

func (c *condition) aKeyMatches(e *event.Event, log *slog.Logger) bool {
	for _, f := range e.Fields() {
		if matches(c.keys, f.Key, log) {
			return true
		}
	}
	return false
}

// allMatch tells whether the values of all keys that match the one expression
// match the other.
func (c *condition) allMatch(e *event.Event, log *slog.Logger) bool {
	for _, f := range e.Fields() {
		if matches(c.keys, f.Key, log) && !matches(c.vals, f.Val, log) {
			return false
		}
	}
	return true
}

// matches tells whether v is text, or a boolean whose word, that the expression
// matches.
func matches(re *regex.Regexp, v event.Value, log *slog.Logger) bool {
	text, ok := textOf(v)
	if !ok {
		return false
	}
	ok, err := re.TryMatch(text)
	if err != nil {
		log.Warn("a regular expression was given up and counts as not matching", "regex", re.String(), "error", err)
	}
	return ok
}
