package rewrite_tag

import (
	"errors"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestBadOptions(t *testing.T) {
	f := func(want string, kv ...string) {
		t.Helper()
		_, err := plugintest.TryFilter(Def(), plugintest.Env(t), kv...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, want %q", kv, err, want)
		}
	}
	f("has 2 words where at least 4 are expected", "Rule", "$a ^x$")
	f("has 3 words", "Rule", "$a ^x$ new")
	f("has 0 words", "Rule", "")
	f("$a[", "Rule", "$a[ ^x new true")
	f("new tag", "Rule", "$a ^x $b[ true")
	f("^(x", "Rule", "$a ^(x new true")
	f("not one of memory, filesystem", "Emitter_Storage.type", "disk")
	f("recursion_action", "Rule", "$a ^x new true", "recursion_action", "drop")
}

func TestOddRulesAreWarnedAbout(t *testing.T) {
	f := func(rule string, keep bool, want string) {
		t.Helper()
		cfg, problems := plugintest.Decode(Def(), "Rule", rule)
		if problems.HasErrors() {
			t.Fatalf("rule %s: %v", rule, problems.Err())
		}
		if len(problems) != 1 || !strings.Contains(problems[0].Error(), want) {
			t.Errorf("with rule %s the problems are %v, want %q", rule, problems, want)
		}
		if rules := cfg.(*Config).rules; len(rules) != 1 || rules[0].keep != keep {
			t.Errorf("rule %s was read as %+v, want keep to be %t", rule, rules, keep)
		}
	}
	f("$a ^x new maybe", false, "counts as one with false")
	f("$a ^x new true extra", true, `"extra" has no meaning`)
}

func TestTheStartTellsOfRulesThatMatchTheirResult(t *testing.T) {
	f := func(rule string, match func(string) bool, want bool) {
		t.Helper()
		env, log := plugintest.LoggedEnv(t)
		env.Match = match
		plugintest.NewFilter(t, Def(), env, "Rule", rule)
		if got := strings.Contains(log.String(), "takes the new tag too"); got != want {
			t.Errorf("rule %s: the log tells of it: %t, want %t", rule, got, want)
		}
	}
	all := func(string) bool { return true }
	app := func(tag string) bool { return strings.HasPrefix(tag, "app.") }
	f("$a ^x $TAG.x false", all, true)
	f("$a ^x new false", all, true)
	f("$a ^x new false", app, false)
	f("$a ^x app.new false", app, true)
	f("$a ^(x) app.$1.$b false", app, true)
	f("$a ^(x) $1.new false", app, false)
	f("$a ^x new false", nil, false)
}

// limited notes what Buffer is told.
type limited struct {
	plugintest.Emitter
	name   string
	memory int64
	disk   bool
	err    error
}

func (l *limited) Buffer(memory int64, disk bool) error {
	l.memory, l.disk = memory, disk
	return l.err
}

func TestTheEmitterGetsItsOptions(t *testing.T) {
	f := func(want *limited, kv ...string) {
		t.Helper()
		l := &limited{err: want.err}
		env := plugintest.Env(t)
		env.Emitter = func(name string) plugin.Emitter { l.name = name; return l }
		_, err := plugintest.TryFilter(Def(), env, append(kv, "Rule", "$a ^x new true")...)
		if !errors.Is(err, want.err) {
			t.Errorf("with %q the error is %v, want %v", kv, err, want.err)
		}
		if l.name != want.name || l.memory != want.memory || l.disk != want.disk {
			t.Errorf("with %q the emitter got %q %d %t, want %q %d %t", kv, l.name, l.memory, l.disk, want.name, want.memory, want.disk)
		}
	}
	f(&limited{memory: 10_000_000})
	f(&limited{name: "again", memory: 5_000_000, disk: true}, "Emitter_Name", "again", "Emitter_Mem_Buf_Limit", "5M", "Emitter_Storage.type", "FileSystem")
	f(&limited{disk: true, memory: 10_000_000, err: errors.New("no place")}, "Emitter_Storage.type", "filesystem")
}

func FuzzRule(f *testing.F) {
	f.Add("$a ^(tea)(.*)$ new.$1$2 false", "tea-x")
	f.Add("$sub['kind'] .* kind.$sub['kind'].$TAG[1] true", "x")
	f.Add(`$a "^(?<l>x) y" $0.$9.$TAG[99] on`, "x y")
	f.Add("$TAG[0] x $ true", "")
	f.Fuzz(func(t *testing.T, line, value string) {
		var cfg Config
		if problems := option.Decode(cfg.Fields(), []option.Property{option.Prop("rule", line)}, "filter rewrite_tag", option.Pos{}); problems.HasErrors() {
			return
		}
		em := &plugintest.Emitter{}
		env := plugintest.Env(t)
		env.Emitter = func(string) plugin.Emitter { return em }
		env.Match = func(string) bool { return false }
		filter, err := cfg.New(env)
		if err != nil {
			t.Fatalf("rule %q was decoded but refused by New: %v", line, err)
		}
		b := event.NewBatch("one.two")
		defer b.Free()
		b.Add(1).Append(b.String("a"), b.String(value))
		b.Add(2).Append(b.String("sub"), b.String(value))
		if err := filter.Filter(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		keep := len(cfg.rules) == 1 && cfg.rules[0].keep
		emitted, left := len(em.Events()), len(b.Events)
		if keep && left != 2 || !keep && emitted+left != 2 {
			t.Errorf("rule %q: of two events %d were emitted and %d are left", line, emitted, left)
		}
		for _, e := range em.Events() {
			if e.Tag == "" || len(e.Tag) > maxTag {
				t.Errorf("rule %q made the tag %q", line, e.Tag)
			}
		}
	})
}
