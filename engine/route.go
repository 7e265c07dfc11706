package engine

import (
	"fmt"
	"strings"

	"github.com/kagarilog/kagari/regex"
)

// pattern decides which tags a filter or output gets: Match with stars,
// Match_Regex, or both, of which one is enough.
type pattern struct {
	match string
	regex *regex.Regexp
}

// newPattern compiles the two options; both empty match nothing.
func newPattern(match, matchRegex string) (pattern, error) {
	p := pattern{match: match}
	if matchRegex != "" {
		re, err := regex.Compile(matchRegex)
		if err != nil {
			return p, fmt.Errorf("match_regex: %w", err)
		}
		p.regex = re
	}
	return p, nil
}

// matches tells whether the pattern takes the tag. A regular expression is
// anchored at the start of the tag, not at its end, and has to consume
// something, as in Fluent Bit.
func (p pattern) matches(tag string) bool {
	if p.regex != nil {
		if caps, ok := p.regex.FindPrefix([]byte(tag), nil); ok && caps[1] > 0 {
			return true
		}
	}
	return p.match != "" && MatchTag(p.match, tag)
}

// empty tells whether there is neither Match nor Match_Regex.
func (p pattern) empty() bool { return p.match == "" && p.regex == nil }

// MatchTag matches a tag against a pattern in which a star stands for any
// text, also none. It needs no more than len(p)*len(tag) steps.
func MatchTag(p, tag string) bool {
	first, rest, star := strings.Cut(p, "*")
	if !star {
		return p == tag
	}
	if !strings.HasPrefix(tag, first) {
		return false
	}
	tag = tag[len(first):]
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(tag, part)
		}
		i := strings.Index(tag, part)
		if i < 0 {
			return false
		}
		tag, rest = tag[i+len(part):], after
	}
}
