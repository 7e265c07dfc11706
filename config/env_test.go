package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/option"
)

// The expected texts were observed with Fluent Bit 5.1.1.
func TestVariablesAreExpandedAsInFluentBit(t *testing.T) {
	env := newEnvironment(func(name string) (string, bool) {
		v, ok := map[string]string{"A": "aa", "B": "bb", "E": "", "HOSTNAME": "h"}[name]
		return v, ok
	})
	env.vars["S"], env.vars["empty"], env.vars["ref"] = "sv", "", "${A}"
	f := func(in, want string, unset ...string) {
		t.Helper()
		x := env.expand(in)
		if x.text != want || x.stuck || !slices.Equal(x.unset, unset) {
			t.Errorf("%q became %q, stuck %v, unset %q; want %q, unset %q", in, x.text, x.stuck, x.unset, want, unset)
		}
	}
	f("", "")
	f("$A", "$A")
	f("${A}", "aa")
	f("x${A}y", "xaay")
	f("${A}${B}", "aabb")
	f("$${A}", "$aa")
	f("{ ${A} }", "{ aa }")
	f("${A}}", "aa}")
	f("${S}x", "svx")
	f("x${empty}y", "xy")
	f("${ref}", "${A}")
	f("${HOSTNAME}", "h")
	f("${NOPE}", "", "NOPE")
	f("q${E}x", "qx", "E")
	f("${A }x", "x", "A ")
	f("${NOPE:-def}", "def")
	f("${E:-def}", "def")
	f("${empty:-def}", "def")
	f("${A:-def}", "aa")
	f("${NOPE:-}x", "x")
	f("${NOPE:-${A}}", "${A}")
	f("${a:b:-c}x", "x", "a:b:-c")
	f("${"+strings.Repeat("n", 4095)+"}", "", strings.Repeat("n", 4095))

	// What Fluent Bit does not cope with, and warned about by us.
	stuck := func(in, want string) {
		t.Helper()
		if x := env.expand(in); x.text != want || !x.stuck {
			t.Errorf("%q became %q, stuck %v; want %q and stuck", in, x.text, x.stuck, want)
		}
	}
	stuck("{} ${A}", "{} ${A}")
	stuck("${A} } ${B}", "aa ${B}")
	stuck("${A}}}${B}q", "aa}${B}q")
	stuck("${open", "${open")
	stuck("${A} ${open", "aa")
	stuck("a${}", "a${}")
	stuck("${A}${}z", "aaz")
	stuck("${"+strings.Repeat("n", 4096)+"}", "${"+strings.Repeat("n", 4096)+"}")
}

func TestVariablesMayComeFromFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file://" + path
	}
	env := newEnvironment(testEnv)
	f := func(value, want string) {
		t.Helper()
		if err := env.set("x", value); err != nil {
			t.Error(err)
		}
		if got, _ := env.get("x"); got != want {
			t.Errorf("%q gives %q, want %q", value, got, want)
		}
	}
	f(write("a", "secret\n"), "secret")
	f(write("b", "secret\r\n"), "secret")
	f(write("c", "one\ntwo\n\n"), "one\ntwo\n")
	f("file://", "file://")
	f("file:///nowhere"[:4], "file")
	for _, bad := range []string{"file://" + dir + "/nothing", write("d", ""), write("e", "\n"), "file://" + dir} {
		if err := env.set("x", bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestConfigurationVariablesWinOverTheEnvironment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	text := "env: {color: teal}\npipeline: {inputs: [{name: dummy, tag: '${color}.${HOSTNAME}'}]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, ps := Load(file, LoadOptions{LookupEnv: testEnv})
	if err := ps.Err(); err != nil {
		t.Fatal(err)
	}
	if tag, _ := cfg.Inputs[0].Get("TAG"); tag != "teal.unit" {
		t.Errorf("the tag is %q", tag)
	}
}

func TestTheHostNameIsKnownWithoutTheShell(t *testing.T) {
	env := newEnvironment(func(string) (string, bool) { return "", false })
	want, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if x := env.expand("${HOSTNAME}"); x.text != want {
		t.Errorf("the name is %q, want %q", x.text, want)
	}
}

func TestFLB_LOG_LEVELWinsOverTheFile(t *testing.T) {
	lookup := func(level string) func(string) (string, bool) {
		return func(name string) (string, bool) { return level, name == "FLB_LOG_LEVEL" }
	}
	file := filepath.Join(t.TempDir(), "c.conf")
	if err := os.WriteFile(file, []byte("[SERVICE]\n    Log_Level error\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for level, want := range map[string]string{"Warning": "warn", "debug": "debug", "loud": "error", "": "error"} {
		cfg, ps := Load(file, LoadOptions{LookupEnv: lookup(level)})
		if cfg.Service.LogLevel != want || ps.HasErrors() || (len(ps) > 0) != (level == "loud") {
			t.Errorf("with %q the level is %q, problems %v", level, cfg.Service.LogLevel, ps)
		}
	}
}

func TestSettingsOfTheCommandLineGiveWayToTheFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "c.conf")
	parsers := filepath.Join(dir, "p.conf")
	for name, text := range map[string]string{
		file:    "[SERVICE]\n    Flush 2\n[INPUT]\n    Name dummy\n",
		parsers: "[PARSER]\n    Name js\n    Format json\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	opts := LoadOptions{LookupEnv: testEnv, Service: []option.Property{
		option.Prop("flush", "9"), option.Prop("grace", "1"), option.Prop("parsers_file", parsers)}}
	cfg, ps := Load(file, opts)
	if len(ps) > 0 {
		t.Error(ps)
	}
	if s := cfg.Service; s.Flush.Seconds() != 2 || s.Grace.Seconds() != 1 || len(cfg.Parsers) != 1 {
		t.Errorf("flush %v, grace %v, %d parsers", s.Flush, s.Grace, len(cfg.Parsers))
	}
	cfg, ps = NewEmpty(opts)
	if s := cfg.Service; s.Flush.Seconds() != 9 || s.HTTPPort != "2020" || len(cfg.Parsers) != 1 || len(ps) > 0 {
		t.Errorf("without a file: flush %v, port %s, %d parsers, problems %v", s.Flush, s.HTTPPort, len(cfg.Parsers), ps)
	}
}
