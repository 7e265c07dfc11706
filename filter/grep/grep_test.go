package grep

import (
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "regex", "a b") }

var records = []string{
	`{"n":1,"lvl":"error","log":"disk full","k":{"app":"db","list":["x","y"]}}`,
	`{"n":2,"lvl":"info","log":"disk ok","k":{"app":"web"}}`,
	`{"n":3,"lvl":"error","k":"text"}`,
	`{"n":4,"lvl":500}`,
	`{}`,
}

// left returns the numbers of the records that pass, the last as 5.
func left(t *testing.T, keysAndValues ...string) string {
	t.Helper()
	var s strings.Builder
	for _, r := range plugintest.Filter(t, Def(), records, keysAndValues...) {
		s.WriteByte(byte('1' + slices.Index(records, r)))
	}
	return s.String()
}

func TestWhichRecordsPass(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		if got := left(t, keysAndValues...); got != want {
			t.Errorf("with %q records %q pass, expected %q", keysAndValues, got, want)
		}
	}
	f("12345")
	f("13", "Regex", "lvl ^error$")
	f("1", "Regex", "$k['app'] ^d")
	f("3", "Regex", "$k['app'] ^t") // a value that is not nested counts itself
	f("1", "Regex", "$k['list'][1] y")
	f("1", "Regex", "$log full")
	f("13", "Regex", "lvl /^ERROR$/i")
	f("2", "Regex", "lvl.x ^info") // what is behind the path has no effect
	f("", "Regex", "lvl 500")      // not text
	f("", "Regex", "TAG test")
	f("245", "Exclude", "lvl error")
	f("12345", "Exclude", "$TAG .")
	// Blanks behind the first belong to the expression.
	f("12", "Regex", "log  *")
	f("", "Regex", "log   full")
	f("12", "Regex", "  log disk")
}

func TestSeveralRules(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		if got := left(t, keysAndValues...); got != want {
			t.Errorf("with %q records %q pass, expected %q", keysAndValues, got, want)
		}
	}
	// In order: the first Regex decides.
	f("13", "Regex", "lvl error", "Regex", "log full")
	f("13", "Regex", "lvl error", "Exclude", "log full")
	f("3", "Exclude", "log full", "Regex", "lvl error")
	f("245", "Exclude", "log full", "Exclude", "lvl error")
	f("1", "Logical_Op", "and", "Regex", "lvl error", "Regex", "log full")
	f("123", "Logical_Op", "OR", "Regex", "lvl error", "Regex", "log disk")
	f("2345", "Logical_Op", "AND", "Exclude", "lvl error", "Exclude", "log full")
	f("45", "Logical_Op", "or", "Exclude", "lvl error", "Exclude", "log disk")
	f("12345", "Logical_Op", "AND")
	f("13", "Logical_Op", "Legacy", "Regex", "lvl error", "Regex", "log full")
}

func TestUnknownLogicalOpIsOnlyWarnedAbout(t *testing.T) {
	_, problems := plugintest.Decode(Def(), "logical_op", "xor", "regex", "a b")
	if problems.HasErrors() || len(problems) != 1 {
		t.Errorf("problems %v, expected one warning", problems)
	}
}

func TestBadRulesAreRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		_, err := plugintest.TryFilter(Def(), plugintest.Env(t), keysAndValues...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("options %q: error %v, expected %q in it", keysAndValues, err, want)
		}
	}
	f("not a key and a regular expression", "regex", "a")
	f("not a key and a regular expression", "regex", "")
	f("not a key and a regular expression", "exclude", "a ")
	f("regex", "regex", "a ([")
	f("record accessor", "regex", "$ x")
	f("record accessor", "regex", "$a['b x")
	f("not both", "logical_op", "AND", "regex", "a b", "exclude", "c d")
}

func TestKeysThatLoseAPartAreWarnedAbout(t *testing.T) {
	env, log := plugintest.LoggedEnv(t)
	plugintest.NewFilter(t, Def(), env, "regex", "a.b c")
	if !strings.Contains(log.String(), "ignored=.b") {
		t.Errorf("the log has no warning: %s", log)
	}
}

func TestExpressionsThatExplodeAreGivenUp(t *testing.T) {
	env, log := plugintest.LoggedEnv(t)
	f := plugintest.NewFilter(t, Def(), env, "regex", `a ^(?=(a+)+\1+$)b`)
	plugintest.Filtered(t, f, "t", plugintest.Event{Record: `{"a":"` + strings.Repeat("a", 3000) + `!"}`})
	if s := log.String(); s != "" && !strings.Contains(s, "given up") {
		t.Errorf("unexpected log %s", s)
	}
}

const sample = `{"time":"2026-11-20T10:38:00.123Z","level":"info","message":"request handled by worker","http_status":200,"k":{"app":"web"}}`

func TestNothingIsAllocated(t *testing.T) {
	f := plugintest.NewFilter(t, Def(), plugintest.Env(t), "regex", "level ^(info|warn)$")
	if n := plugintest.AllocsPerEvent(t, f, sample); n > 0.01 {
		t.Errorf("%v allocations per event, expected none", n)
	}
}

func BenchmarkGrep(b *testing.B) {
	plugintest.BenchmarkFilter(b, plugintest.NewFilter(b, Def(), plugintest.Env(b), "regex", "level ^(info|warn|error)$"), sample)
}

func FuzzRule(f *testing.F) {
	for _, s := range []string{"a b", "$a['b'][0] ^x", "$ x", "$TAG[1] /x/i", "a ([", " a  b "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r, err := parseRule(line)
		if err == nil && r.regex == nil {
			t.Errorf("rule %q has no expression", line)
		}
	})
}
