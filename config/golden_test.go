package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

var update = flag.Bool("update", false, "write the expected files of the tests anew")

// testEnv is the environment of the tests.
func testEnv(name string) (string, bool) {
	switch name {
	case "HOSTNAME":
		return "unit", true
	case "empty":
		return "", true
	case "color":
		return "from the shell", true
	}
	return "", false
}

// golden compares got with the content of a file, or writes it with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", file, got, want)
	}
}

// testFiles calls f in testdata with each file of that middle name.
func testFiles(t *testing.T, middle string, f func(t *testing.T, file, stem string)) {
	t.Chdir("testdata")
	files, err := filepath.Glob("*." + middle + ".*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		if ext := filepath.Ext(file); ext == ".conf" || ext == ".yaml" {
			n++
			t.Run(file, func(t *testing.T) { f(t, file, strings.TrimSuffix(file, ext)) })
		}
	}
	if n == 0 {
		t.Fatalf("no files *.%s.* found", middle)
	}
}

func TestBadConfigurationsAreRefusedWithAMessageForEveryMistake(t *testing.T) {
	testFiles(t, "bad", func(t *testing.T, file, stem string) {
		cfg, ps := Load(file, LoadOptions{LookupEnv: testEnv})
		ps = append(ps, cfg.Check(testRegistry())...)
		if !ps.HasErrors() {
			t.Errorf("the file is accepted")
		}
		var out bytes.Buffer
		Render(&out, ps, cfg.Sources, false)
		golden(t, stem+filepath.Ext(file)+".err", out.String())
	})
}

func TestGoodConfigurationsSayWhatTheyMean(t *testing.T) {
	testFiles(t, "good", func(t *testing.T, file, stem string) {
		cfg, ps := Load(file, LoadOptions{LookupEnv: testEnv})
		ps = append(ps, cfg.Check(testRegistry())...)
		if err := ps.Err(); err != nil {
			t.Error(err)
		}
		got := dump(cfg)
		for _, p := range ps {
			got += fmt.Sprintf("%s: %s\n", p.Severity, p.Error())
		}
		golden(t, stem+filepath.Ext(file)+".dump", got)
	})
}

// dump writes a Config without its places.
func dump(c *Config) string {
	var b strings.Builder
	b.WriteString("service\n")
	def := &Service{}
	def.Fields()
	dumpChanges(&b, "  ", reflect.ValueOf(*def), reflect.ValueOf(*c.Service))
	for _, s := range append(append(append([]*plugin.Section(nil), c.Parsers...), c.MultilineParsers...), c.StreamTasks...) {
		fmt.Fprintf(&b, "%s\n%s", s.Name, dumpProps("  ", s.Props))
	}
	for _, inst := range append(append(append([]*Instance(nil), c.Inputs...), c.Filters...), c.Outputs...) {
		fmt.Fprintf(&b, "%s\n%s", inst.Title(), dumpProps("  ", inst.Props))
		if inst.address != nil {
			fmt.Fprintf(&b, "  address\n%s", dumpProps("    ", inst.address))
		}
		for _, p := range inst.Processors {
			fmt.Fprintf(&b, "  processor of %s %s\n%s%s", p.Signal, p.Name, dumpProps("    ", p.Props), dumpCondition(p.Condition))
		}
		for _, r := range inst.Routes {
			fmt.Fprintf(&b, "  route %s of %v default %v to", r.Name, r.Signals, r.Default)
			for _, o := range r.Outputs {
				fmt.Fprintf(&b, " %s(%s)", o.Name, o.Fallback)
			}
			fmt.Fprintf(&b, "\n%s", dumpCondition(r.Condition))
		}
	}
	for _, p := range c.Plugins {
		fmt.Fprintf(&b, "plugin %s\n", p.Value.Text)
	}
	return b.String()
}

func dumpCondition(c *Condition) string {
	if c == nil {
		return ""
	}
	s := "    if " + c.Op + "\n"
	for _, r := range c.Rules {
		s += fmt.Sprintf("      %s of %s %s %q %g %q\n", r.Field, r.Context, r.Op, r.Text, r.Number, r.List)
	}
	return s
}

func dumpChanges(b *strings.Builder, indent string, def, got reflect.Value) {
	for i := range got.NumField() {
		d, g := def.Field(i), got.Field(i)
		if reflect.DeepEqual(d.Interface(), g.Interface()) {
			continue
		}
		name := got.Type().Field(i).Name
		if g.Kind() == reflect.Struct {
			dumpChanges(b, indent+name+".", d, g)
			continue
		}
		fmt.Fprintf(b, "%s%s = %v\n", indent, name, g.Interface())
	}
}

func dumpProps(indent string, props []option.Property) string {
	s := ""
	for _, p := range props {
		s += indent + p.Key + " = " + dumpValue(p.Value) + "\n"
	}
	return s
}

func dumpValue(v option.Value) string {
	switch v.Shape {
	case option.List:
		var items []string
		for _, item := range v.Items {
			items = append(items, dumpValue(item))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case option.Map:
		var items []string
		for _, p := range v.Props {
			items = append(items, p.Key+": "+dumpValue(p.Value))
		}
		return "{" + strings.Join(items, ", ") + "}"
	}
	return strconv.Quote(v.Text)
}
