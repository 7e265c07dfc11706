package multiline_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/parser/multiline"
)

// load reads a file of parsers and makes its multiline parsers.
func load(t *testing.T, text string) (parsers []*multiline.Parser, problems []string) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"main.conf": "[SERVICE]\n    Parsers_File p.conf\n", "p.conf": text} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, ps := config.Load("main.conf", config.LoadOptions{})
	if len(cfg.MultilineParsers) == 0 {
		t.Fatal(ps.Err())
	}
	for _, sec := range cfg.MultilineParsers {
		p, ps := multiline.New(sec.Props, sec.Pos, lineParser)
		parsers = append(parsers, p)
		for _, problem := range ps {
			problem.Pos.File = filepath.Base(problem.Pos.File)
			problems = append(problems, problem.Severity.String()+" "+problem.Error())
		}
	}
	return parsers, problems
}

func TestBadDefinitions(t *testing.T) {
	f := func(name, body string, ok bool, want ...string) {
		t.Run(name, func(t *testing.T) {
			parsers, got := load(t, "[MULTILINE_PARSER]\n    Name m\n"+body)
			if !slices.Equal(got, want) {
				t.Errorf("problems\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if (parsers[0] != nil) != ok {
				t.Errorf("the parser is %v", parsers[0])
			}
		})
	}
	regex := "    Type regex\n"
	start := `    Rule "start_state" "/^A/" "cont"` + "\n"
	f("good", regex+start+`    Rule "cont" "/^ /" "cont"`, true)
	f("pattern", regex+`    Rule   "start_state"  "/^A[/" "cont"`+"\n"+`    Rule cont /^(/ cont`, false,
		`error p.conf:4:28: multiline parser m: the pattern "/^A[/": premature end of char-class at byte 4`,
		`error p.conf:5:15: multiline parser m: the pattern "/^(/": end pattern with unmatched parenthesis at byte 3`)
	f("next state", regex+start+`    Rule "cont" "/^ /" "cnot"`, false,
		`error p.conf:5:25: multiline parser m: no rule is for the next state "cnot"; did you mean "cont"?`)
	f("no start", regex+`    Rule "start" "/^A/" "start"`, false,
		`error p.conf:4:11: multiline parser m: the first rule must be for the state "start_state"`)
	f("start second", regex+`    Rule "cont" "/^A/" "cont"`+"\n"+start, false,
		`error p.conf:4:11: multiline parser m: the first rule must be for the state "start_state"`)
	f("no state", regex+`    Rule " , " "/^A/"`, false, `error p.conf:4:11: multiline parser m: the rule has no state`)
	f("no rules", regex, true, `warning p.conf:1:1: multiline parser m: the parser has no rule, so that no line fits`)
	f("no match_string", "    Type endswith\n", false, `error p.conf:1:1: multiline parser m: the types endswith and equal need the option "match_string"`)
	f("rules of another type", "    Type eq\n    Match_String x\n"+start, true, `warning p.conf:1:1: multiline parser m: rules have a meaning for the type regex only and are ignored`)
	f("negate", "    Type equal\n    Match_String x\n    Negate maybe\n", true,
		`warning p.conf:5:12: multiline parser m: option "negate": "maybe" is not a boolean; use true, on, yes, false, off or no; it counts as false`)
	f("parser", "    Type equal\n    Match_String x\n    Parser jsn\n", true,
		`warning p.conf:5:12: multiline parser m: there is no parser "jsn"; lines are taken as they are`)
	f("parser without a key", "    Type equal\n    Match_String x\n    Parser json\n", true,
		`warning p.conf:1:1: multiline parser m: with the option "parser" and without "key_content" no line fits; say which field holds the text to join`)
	for text, ms := range map[string]string{"1s": "1", "-5": "4000", "0": "4000", "x": "4000", "99999999999999999999": "4000"} {
		f("flush_timeout "+text, "    Type equal\n    Match_String x\n    Flush_Timeout "+text+"\n", true,
			`warning p.conf:5:19: multiline parser m: the flush_timeout "`+text+`" is not a number of milliseconds above 0 and counts as `+ms)
	}
}

func TestRulesOfYAMLHavePositions(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("main.yaml", []byte(`multiline_parsers:
  - name: m
    type: regex
    rules:
      - state: start_state
        regex: /^A[/
        next_state: start_sate
`), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, ps := config.Load("main.yaml", config.LoadOptions{})
	if len(cfg.MultilineParsers) != 1 {
		t.Fatal(ps.Err())
	}
	p, ps := multiline.New(cfg.MultilineParsers[0].Props, cfg.MultilineParsers[0].Pos, nil)
	want := `main.yaml:6:16: multiline parser m: the pattern "/^A[/": premature end of char-class at byte 4
main.yaml:7:21: multiline parser m: no rule is for the next state "start_sate"; did you mean "start_state"?`
	if p != nil || ps.Err() == nil || ps.Err().Error() != want {
		t.Errorf("%v\nwant\n%s", ps.Err(), want)
	}
}

func TestRulesThatTakeTooLongAreCounted(t *testing.T) {
	p := define(t, "type", "regex", "rule", `start_state~/^(a+)+\1\1b$/~cont`, "rule", "cont~/^ /~cont")
	s := newSource(t, multiline.Options{}, p)
	var log strings.Builder
	p.SetLog(slog.New(slog.NewTextHandler(&log, nil)))
	line := strings.Repeat("a", 5000)
	s.feed(line)
	s.want(`{"log":"` + line + `\n"}`)
	if p.GivenUp() != 1 || strings.Count(log.String(), "cannot match a line with a rule") != 1 {
		t.Errorf("%d lines were given up; log: %s", p.GivenUp(), log.String())
	}
}

func TestBuiltinNames(t *testing.T) {
	names := multiline.BuiltinNames()
	if want := []string{"cri", "docker", "go", "java", "python", "ruby"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	for _, name := range names {
		p := multiline.NewBuiltin(name)
		if p.Name() != name || !p.Builtin() || (p.LineParser() != nil) != (name == "cri" || name == "docker") {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if multiline.NewBuiltin("php") != nil {
		t.Error("there is a parser php")
	}
}

// FuzzDefinition checks that no definition ends the process, and that what is
// accepted takes lines.
func FuzzDefinition(f *testing.F) {
	f.Add("regex", "start_state", "/^A/", "cont", "cont, start_state", "/^ /", "start_state", "x", "500", "A\n a\nb")
	f.Add("endswith", "", "", "", "", "", "", "x", "0", "A\n a\nx")
	f.Add("eq", "a", "(", "b", "", "", "", "", "-1", "A\nx")
	f.Fuzz(func(t *testing.T, typ, from1, re1, to1, from2, re2, to2, match, timeout, text string) {
		rule := func(words ...string) option.Property {
			v := option.Value{Shape: option.List}
			for _, w := range words {
				v.Items = append(v.Items, option.Text(w))
			}
			return option.Property{Key: "rule", Value: v}
		}
		p, ps := multiline.New([]option.Property{option.Prop("name", "m"), option.Prop("type", typ), option.Prop("match_string", match),
			option.Prop("flush_timeout", timeout), rule(from1, re1, to1), rule(from2, re2, to2)}, option.Pos{}, lineParser)
		if (p == nil) != ps.HasErrors() {
			t.Fatalf("the parser is %v with the problems %v", p, ps)
		}
		if p == nil {
			return
		}
		j, err := multiline.NewJoiner([]*multiline.Parser{p}, multiline.Options{BufferLimit: 10})
		if err != nil {
			return
		}
		s, b := j.NewStream(), event.NewBatch("t")
		for line := range strings.SplitSeq(text, "\n") {
			s.Line(b, []byte(line), 0, now)
		}
		s.Flush(b, now)
		if _, ok := s.Pending(); ok {
			t.Error("something is held after the flush")
		}
		b.Free()
	})
}
