package tail

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/regex"
)

// tagger makes the tags of files.
type tagger struct {
	tag   string
	regex *regex.Regexp // Tag_Regex, nil for none
}

func newTagger(c *Config, env *plugin.Env) tagger {
	t := tagger{tag: env.Tag}
	if t.tag == "" {
		t.tag = env.DefaultTag
	}
	if c.TagRegex != "" {
		re, err := regex.Compile(c.TagRegex)
		if err != nil {
			// Fluent Bit goes on without it, too.
			env.Log.Error("option \"tag_regex\" is ignored", "error", err)
		}
		t.regex = re
	}
	return t
}

// of returns the tag of the file with the given path.
func (t *tagger) of(path string) (string, error) {
	switch {
	case t.regex != nil:
		return t.fromGroups(path)
	case strings.Contains(t.tag, "*"):
		return t.fromPath(path), nil
	}
	return t.tag, nil
}

// fromGroups replaces <name> in the tag by what the group of that name matched
// in path; a group that matched nothing becomes _.
func (t *tagger) fromGroups(path string) (string, error) {
	caps, ok := t.regex.Find([]byte(path), nil)
	if !ok {
		return "", errors.New("the path does not match tag_regex")
	}
	groups := map[string]string{}
	for i, name := range t.regex.Names() {
		if from, to := caps[2*i], caps[2*i+1]; i > 0 && from < to {
			groups[name] = path[from:to]
		}
	}
	var b strings.Builder
	rest := t.tag
	for {
		text, after, found := strings.Cut(rest, "<")
		b.WriteString(text)
		if !found {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(after, ">")
		if !closed || strings.Contains(name, "<") {
			return "", fmt.Errorf("the tag %q has < without >", t.tag)
		}
		if value := groups[name]; name != "" && value != "" {
			b.WriteString(value)
		} else {
			b.WriteByte('_')
		}
		rest = after
	}
}

// fromPath replaces the first * in the tag by path and turns separators into
// dots, of which none stands at the start or end or beside another.
func (t *tagger) fromPath(path string) string {
	before, after, _ := strings.Cut(t.tag, "*")
	src := before + path + after
	out := make([]byte, 0, len(src))
	for i := range len(src) {
		c := src[i]
		if c == '/' || c == '\\' || c == ':' {
			if len(out) == 0 {
				continue
			}
			c = '.'
		}
		if c == '.' && len(out) > 0 && out[len(out)-1] == '.' || c == '*' {
			continue
		}
		out = append(out, c)
	}
	return string(bytes.TrimSuffix(out, []byte{'.'}))
}
