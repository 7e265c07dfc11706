package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// tagSet is the tags that events may have, as patterns with "*" for any text.
type tagSet struct {
	any      bool // some part of the pipeline makes tags that cannot be known
	patterns []string
}

func (t *tagSet) add(other tagSet) {
	t.any = t.any || other.any
	t.patterns = append(t.patterns, other.patterns...)
}

// inputTags returns the tags of an input; n is its number among the inputs.
func inputTags(inst *Instance, def *plugin.Def, own []option.Field, tag string, n int) tagSet {
	for _, key := range []string{"tag_key", "tag_from_uri", "tag_prefix"} {
		if fieldOf(own, key) != nil {
			// The sender names the tag; only forward lets the option win.
			if def.Name == "forward" && tag != "" {
				break
			}
			return tagSet{any: true}
		}
	}
	if tag == "" {
		return tagSet{patterns: []string{fmt.Sprintf("%s.%d", def.Name, n)}}
	}
	if fieldOf(own, "tag_regex") != nil {
		tag = capture.ReplaceAllString(tag, "*")
	} else {
		tag = strings.ReplaceAll(tag, "*", "?") // a literal star, which no pattern asks for
	}
	return tagSet{patterns: []string{tag}}
}

var (
	capture   = regexp.MustCompile(`<[^>]*>`)
	reference = regexp.MustCompile(`\$(\{[^}]*\}|[A-Za-z0-9_]+(\['[^']*'\])*(\[[0-9]+\])*)`)
	streamTag = regexp.MustCompile(`(?i)\btag\s*=\s*'([^']*)'`)
)

// filterTags returns the tags that a filter gives to events of its own.
func filterTags(inst *Instance, own []option.Field) tagSet {
	var t tagSet
	if fieldOf(own, "rule") != nil && fieldOf(own, "emitter_name") != nil {
		for _, p := range inst.flatProps() {
			if !strings.EqualFold(p.Key, "rule") {
				continue
			}
			if words := option.SplitWords(p.Value.Text, 0); len(words) > 2 {
				t.patterns = append(t.patterns, reference.ReplaceAllString(words[2], "*"))
			}
		}
	}
	if tag, ok := inst.Get("tag"); ok && fieldOf(own, "tag") != nil {
		t.patterns = append(t.patterns, tag)
	}
	return t
}

// streamTags adds the tags of stream tasks.
func (k *checker) streamTags() {
	for _, s := range k.cfg.StreamTasks {
		query, _, _ := propText(s.Props, "exec")
		if m := streamTag.FindStringSubmatch(query); m != nil {
			k.tags.patterns = append(k.tags.patterns, m[1])
		} else {
			k.tags.any = true
		}
	}
}

// reachable warns if no event can have a tag that the instance asks for.
func (k *checker) reachable(inst *Instance, match, matchRegex string, active bool) {
	if k.tags.any || match == "" || matchRegex != "" || !active || len(k.cfg.Inputs) == 0 {
		return
	}
	if slices.ContainsFunc(k.tags.patterns, func(tag string) bool { return overlap(match, tag) }) {
		return
	}
	tags := slices.Clone(k.tags.patterns)
	slices.Sort(tags)
	tags = slices.Compact(tags)
	fix := option.DidYouMean(match, tags)
	if fix == "" && len(tags) <= 5 {
		fix = "the tags are " + strings.Join(tags, ", ")
	}
	pos := inst.Pos
	for _, p := range inst.Props {
		if strings.EqualFold(p.Key, "match") {
			pos = p.Value.Pos
		}
	}
	k.add(option.Warning, pos, inst.Title(), "match", fix, "no event has a tag that match %q fits", match)
}

// overlap tells whether some text fits both patterns, in which "*" stands for
// any text.
func overlap(a, b string) bool {
	if len(a)*len(b) > 1<<20 {
		return true // too long to be worth it
	}
	// fits[j] tells whether the rest of a and b[j:] have a text in common.
	fits := make([]bool, len(b)+1)
	next := make([]bool, len(b)+1)
	for i := len(a); i >= 0; i-- {
		for j := len(b); j >= 0; j-- {
			switch {
			case i == len(a) && j == len(b):
				fits[j] = true
			case i < len(a) && a[i] == '*':
				fits[j] = next[j] || j < len(b) && fits[j+1]
			case j < len(b) && b[j] == '*':
				fits[j] = fits[j+1] || i < len(a) && next[j]
			default:
				fits[j] = i < len(a) && j < len(b) && a[i] == b[j] && next[j+1]
			}
		}
		fits, next = next, fits
	}
	return next[0]
}
