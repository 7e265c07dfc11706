package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

func TestRetryLimitKnowsNumbersAndWords(t *testing.T) {
	f := func(text string, want int, warnings int) {
		t.Helper()
		var o OutputOptions
		inst := &Instance{Kind: plugin.KindOutput, Name: "x"}
		if text != "not given" {
			inst.Props = []option.Property{option.Prop("Retry_Limit", text)}
		}
		ps := inst.Decode(o.Fields(), nil)
		if o.RetryLimit != want || len(ps) != warnings || ps.HasErrors() {
			t.Errorf("%q gives %d with %v, want %d", text, o.RetryLimit, ps, want)
		}
	}
	f("not given", 1, 0)
	f("3", 3, 0)
	f("no_limits", RetryUnlimited, 0)
	f("No_Limits", RetryUnlimited, 0)
	f("false", RetryUnlimited, 0)
	f("OFF", RetryUnlimited, 0)
	f("no_retries", 0, 0)
	f("0", 1, 1)
	f("-1", 1, 1)
	f("many", 1, 1)
	f("", 1, 1)
	f("2 times", 2, 1)
}

func TestCommonOptionsAreSplitFromThoseOfThePlugin(t *testing.T) {
	var common InputOptions
	var path, tag string
	own := []option.Field{
		option.String(&path, "path", "", ""),
		option.String(&tag, "tag", "", ""), // the plugin's own wins
	}
	inst := &Instance{Kind: plugin.KindInput, Name: "tail", Props: []option.Property{
		option.Prop("Path", "/x"), option.Prop("TAG", "mine"), option.Prop("Mem_Buf_Limit", "5MB"),
		option.Prop("Alias", "a"), option.Prop("alias", "b"), option.Prop("log_level", "Warning"),
		option.Prop("rate_gate.max_records", "7"), option.Prop("Routable", "off"),
	}}
	ps := inst.Decode(common.Fields(), own)
	if path != "/x" || tag != "mine" || common.Tag != "" {
		t.Errorf("path %q, own tag %q, common tag %q", path, tag, common.Tag)
	}
	if common.MemBufLimit != 5_000_000 || common.Alias != "b" || common.LogLevel != "warn" ||
		common.RateGateMaxRecords != 7 || common.Routable || common.RateWindow != time.Second {
		t.Errorf("the common options are %+v", common)
	}
	if len(ps) != 1 || ps[0].Severity != option.Warning || !strings.Contains(ps[0].Message, `"Alias" is given again`) {
		t.Errorf("problems: %v", ps)
	}
}

func TestTotalLimitSizeMayBeSwitchedOff(t *testing.T) {
	for text, want := range map[string]int64{"5M": 5_000_000, "off": 0, "False": 0, "no": 0, "0": 0, "1024": 1024} {
		var o OutputOptions
		inst := &Instance{Kind: plugin.KindOutput, Props: []option.Property{option.Prop("storage.total_limit_size", text)}}
		if ps := inst.Decode(o.Fields(), nil); len(ps) > 0 || o.TotalLimitSize != want {
			t.Errorf("%q gives %d, problems %v", text, o.TotalLimitSize, ps)
		}
	}
}

func TestFiltersMayBeLeftOut(t *testing.T) {
	for text, want := range map[string]bool{"false": false, "FALSE": false, "0": false, "true": true, "off": true, "no": true} {
		var o FilterOptions
		inst := &Instance{Kind: plugin.KindFilter, Props: []option.Property{option.Prop("active", text)}}
		if ps := inst.Decode(o.Fields(), nil); ps.HasErrors() || o.Active != want {
			t.Errorf("%q gives %v, problems %v", text, o.Active, ps)
		}
	}
}

func TestAnEmptyMatchOfAFilterIsAMatchNonetheless(t *testing.T) {
	var o FilterOptions
	inst := &Instance{Kind: plugin.KindFilter, Props: []option.Property{option.Prop("match", "")}}
	if ps := inst.Decode(o.Fields(), nil); len(ps) > 0 || !o.HasMatch || o.Match != "" {
		t.Errorf("%+v, problems %v", o, ps)
	}
}

func TestTheCommandLineAddsInstancesInFrontOfTheFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "c.conf")
	if err := os.WriteFile(file, []byte("@SET port=5\n[INPUT]\n    Name dummy\n    Tag file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _ := Load(file, LoadOptions{LookupEnv: testEnv})
	add := func(k plugin.Kind, name string, props ...option.Property) *Instance {
		t.Helper()
		inst, ps := cfg.AddInstance(k, name, props)
		if len(ps) > 0 {
			t.Error(ps)
		}
		return inst
	}
	add(plugin.KindInput, "dummy", option.Prop("tag", "first"))
	add(plugin.KindInput, "tcp://127.0.0.1:${port}/", option.Prop("tag", "${port}.second"))
	out := add(plugin.KindOutput, "http://[::1]:9880/x/y", option.Prop("port", "80"), option.Prop("match", "*"))
	var tags []string
	for _, in := range cfg.Inputs {
		tag, _ := in.Get("tag")
		tags = append(tags, tag)
	}
	if !slices.Equal(tags, []string{"first", "5.second", "file"}) {
		t.Errorf("the inputs are %q", tags)
	}
	if ps := cfg.Check(testRegistry()); len(ps) > 0 {
		t.Error(ps)
	}
	var o OutputOptions
	var host, port, uri string
	ps := out.Decode(o.Fields(), []option.Field{option.String(&host, "host", "", ""), option.String(&port, "port", "", ""),
		option.String(&uri, "uri", "", "")})
	if host != "::1" || port != "80" || uri != "/x/y" || len(ps) > 0 {
		t.Errorf("host %q, port %q, uri %q, problems %v", host, port, uri, ps)
	}
	if _, ps := cfg.AddInstance(plugin.KindFilter, "${none}", nil); len(ps) != 1 {
		t.Errorf("an unset variable gives %v", ps)
	}
}

func TestFurtherFilesAreReadAsSections(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"c.conf":  "@SET where=10.0.0.1\n[INPUT]\n    Name dummy\n",
		"u.conf":  "[UPSTREAM]\n    Name up\n[NODE]\n    Name a\n    Host ${where}\n    Port 1\n[NODE]\n    Name b\n",
		"u.yaml":  "upstream_servers:\n  - name: up\n    nodes:\n      - {name: a, host: '${where}', port: 1}\n      - {name: b}\n",
		"bad.yml": "upstream_servers: {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, _ := Load(filepath.Join(dir, "c.conf"), LoadOptions{LookupEnv: testEnv})
	for _, file := range []string{"u.conf", "u.yaml"} {
		sections, err := cfg.ReadSections(file)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, s := range sections {
			got += s.Name + "(" + strings.ReplaceAll(dumpProps(" ", s.Props), "\n", "") + ")"
		}
		if want := `UPSTREAM( name = "up")NODE( name = "a" host = "10.0.0.1" port = "1")NODE( name = "b")`; got != want {
			t.Errorf("%s is read as %s", file, got)
		}
	}
	for _, file := range []string{"bad.yml", "nothing.conf"} {
		if _, err := cfg.ReadSections(file); err == nil {
			t.Errorf("%s is accepted", file)
		}
	}
}

func TestPatternsOfFilesMatchAsInAShell(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.conf", "b.conf", ".c.conf", "..data/d.conf", "sub/e.conf", "[x.conf", "sub2/e.conf"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := func(pattern string, want ...string) {
		t.Helper()
		var got []string
		for _, p := range globFiles(dir + "/" + pattern) {
			got = append(got, strings.TrimPrefix(p, dir+"/"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q matches %q, want %q", pattern, got, want)
		}
	}
	f("*.conf", "[x.conf", "a.conf", "b.conf")
	f("[!a]*.conf", "[x.conf", "b.conf")
	f("[ab].conf", "a.conf", "b.conf")
	f("?.conf", "a.conf", "b.conf")
	f("s*/*.conf", "sub/e.conf", "sub2/e.conf")
	f("*/e.conf", "sub/e.conf", "sub2/e.conf")
	f(".*.conf", ".c.conf")
	f("[x*")
	f("none/*")
	f("a.conf/*")
}

func TestFilesAreBounded(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.conf")
	if err := os.WriteFile(big, []byte(strings.Repeat("#", maxFileSize+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ps := Load(big, LoadOptions{}); !strings.Contains(ps.Err().Error(), "is larger than") {
		t.Error(ps)
	}
	if _, ps := Load(dir, LoadOptions{}); !ps.HasErrors() || !strings.Contains(ps[0].Message, "directory") {
		t.Errorf("a directory gives %v", ps)
	}
	for n := range maxFiles + 5 {
		name := filepath.Join(dir, "inc_"+strings.Repeat("x", n%7)+string(rune('a'+n%26))+string(rune('a'+n/26%26))+string(rune('a'+n/676))+".conf")
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	main := filepath.Join(dir, "main.conf")
	if err := os.WriteFile(main, []byte("@INCLUDE inc_*.conf\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ps := Load(main, LoadOptions{}); !strings.Contains(ps.Err().Error(), "more than 1000 configuration files") {
		t.Errorf("too many files give %d problems", len(ps))
	}
}

func TestOverlapOfPatterns(t *testing.T) {
	f := func(a, b string, want bool) {
		t.Helper()
		if overlap(a, b) != want || overlap(b, a) != want {
			t.Errorf("%q and %q: not %v", a, b, want)
		}
	}
	f("", "", true)
	f("a", "a", true)
	f("a", "b", false)
	f("*", "", true)
	f("a*", "a", true)
	f("a.*", "a", false)
	f("kube.*", "kube.var.log.*", true)
	f("*.error", "web.*", true)
	f("*.error", "web.info", false)
	f("a*b", "*c", false)
	f("a*b*c", "abxc", true)
	f("new.*.end", "new.*.", false)
	f("*a*", "*b*", true)
}
