package engine_test

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/internal/logging"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// asking is an input that looks up multiline parsers when it is made.
type asking struct {
	script
	ask func(env *plugin.Env)
}

func (a *asking) New(env *plugin.Env) (plugin.Input, error) {
	a.ask(env)
	return a, nil
}

// multilineSection is a [MULTILINE_PARSER] section.
func multilineSection(line int, kv ...string) *plugin.Section {
	at := option.Pos{File: "p.conf", Line: line, Col: 1}
	rule := option.Property{Key: "rule", Value: option.Value{Shape: option.List, Items: []option.Value{
		option.Text("start_state"), option.Text("^A"), option.Text("start_state")}}}
	return &plugin.Section{Name: "multiline_parser", Props: append(properties(kv), rule), Pos: at}
}

func TestMultilineParsers(t *testing.T) {
	b := newBench(t)
	b.cfg.Parsers = []*plugin.Section{{Name: "parser", Props: properties([]string{"name", "j", "format", "json"})}}
	b.cfg.MultilineParsers = []*plugin.Section{
		multilineSection(1, "name", "Mine", "type", "regex", "parser", "j", "key_content", "x"),
		multilineSection(3, "name", "mine", "type", "regex"),
		multilineSection(5, "name", "Java", "type", "regex"),
		multilineSection(7, "name", "bad", "type", "regexp"),
	}
	b.cfg.Service.MultilineBufferLimit = 1234
	var seen []string
	a := &asking{ask: func(env *plugin.Env) {
		for _, name := range []string{"MINE", "java", "CRI", "cri", "jaba", "bad"} {
			p, err := env.Multiline(name)
			if err != nil {
				seen = append(seen, err.Error())
				continue
			}
			seen = append(seen, fmt.Sprint(p.Name(), " ", p.Builtin(), " ", p.LineParser() != nil))
		}
		if env.Service.MultilineBufferLimit != 1234 {
			t.Errorf("the limit is %d", env.Service.MultilineBufferLimit)
		}
	}}
	b.defs = append(b.defs, &plugin.Def{Kind: plugin.KindInput, Name: "asking", Config: func() plugin.Config { return a }})
	b.cfg.Inputs = append(b.cfg.Inputs, &config.Instance{Kind: plugin.KindInput, Name: "asking"})
	_, ps := engine.New(b.cfg, plugin.NewRegistry(b.defs...), engine.Options{Handler: logging.NewHandler(io.Discard, slog.LevelError)})
	want := []string{
		"Mine false true", "java true false", "cri true true", "cri true true",
		`there is no multiline parser "jaba"; did you mean "java"?`, `there is no multiline parser "bad"`,
	}
	if !slices.Equal(seen, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
	}
	var problems []string
	for _, p := range ps {
		problems = append(problems, p.Severity.String()+" "+p.Error())
	}
	want = []string{
		"warning p.conf:3:1: multiline parser mine: another parser has the same name; the first one is used",
		"warning p.conf:5:1: multiline parser Java: the built-in parser of the same name is used and not this one; give it another name",
		`error p.conf:7:1: multiline parser bad: the type "regexp" is not one of regex, endswith, equal, eq; did you mean "regex"?`,
	}
	if !slices.Equal(problems, want) {
		t.Errorf("problems\n%s\nwant\n%s", strings.Join(problems, "\n"), strings.Join(want, "\n"))
	}
}
