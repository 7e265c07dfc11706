package config

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/option"
)

var parsersFiles = regexp.MustCompile(`(?m)^  ParsersFiles = .*\n`)

func TestConvertedFilesMeanTheSame(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	testFiles(t, "good", func(t *testing.T, file, stem string) {
		if FormatOf(file) == YAML {
			return
		}
		var out, again bytes.Buffer
		if ps := ToYAML(&out, file); ps.HasErrors() {
			t.Fatal(ps)
		}
		golden(t, stem+".conf.converted", out.String())
		ToYAML(&again, file)
		if again.String() != out.String() {
			t.Error("a second conversion differs")
		}
		copied := filepath.Join(dir, stem+".yaml")
		if err := os.WriteFile(copied, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		want, _ := Load(file, LoadOptions{LookupEnv: testEnv})
		got, ps := Load(copied, LoadOptions{LookupEnv: testEnv})
		if err := ps.Err(); err != nil {
			t.Fatal(err)
		}
		// Several parsers files have become a section.
		g, w := parsersFiles.ReplaceAllString(dump(got), ""), parsersFiles.ReplaceAllString(dump(want), "")
		if g != w {
			t.Errorf("converted it means\n%s\nwant\n%s", g, w)
		}
	})
}

func TestOnlyReadableClassicFilesAreConverted(t *testing.T) {
	t.Chdir("testdata")
	for _, file := range []string{"full.good.yaml", "header.bad.conf", "nothing.conf"} {
		var out bytes.Buffer
		if ps := ToYAML(&out, file); !ps.HasErrors() || out.Len() > 0 {
			t.Errorf("%s is converted to %q", file, out.String())
		}
	}
}

func TestScalarsOfYAMLAreQuotedWhereNeeded(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := scalarYAML(text); got != want {
			t.Errorf("%q is written %s, want %s", text, got, want)
		}
		docs, err := parseYAML("f", []byte("- k: "+scalarYAML(text)+"\n- "+scalarYAML(text)+"\n"))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			return
		}
		if got := docs[0].items[0].pairs[0].val.text; got != text {
			t.Errorf("%q is read back as %q", text, got)
		}
		if got := docs[0].items[1].text; got != text {
			t.Errorf("%q in a list is read back as %q", text, got)
		}
	}
	f("a", "a")
	f("two words", "two words")
	f("on", "on")
	f("5", "5")
	f("-5", "-5")
	f("${A}/x", "${A}/x")
	f("/^a (?<b>c)$/", "/^a (?<b>c)$/")
	f("", "''")
	f("~", "'~'")
	f("NULL", "'NULL'")
	f("*", "'*'")
	f("a: b", "'a: b'")
	f("a #b", "'a #b'")
	f("a#b", "a#b")
	f("a:", "'a:'")
	f(`{"a":1}`, `'{"a":1}'`)
	f("it's", "it's")
	f("'it's'", "'''it''s'''")
	f("- a", "'- a'")
	f("-", "'-'")
	f("---", "'---'")
	f("...", "'...'")
	f("é", "'é'")
	f("a\tb", "'a\tb'")
	f(" a", "' a'")
	f("a ", "'a '")
	f("a\x01b\"\\", `"a\x01b\"\\"`)
	f("\u2028\ufeff\u0085\x7f", `"\u2028\ufeff\x85\x7f"`)
	f("a\nb", `"a\x0ab"`)
}

func TestConversionSaysWhatYAMLCannotHold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.conf")
	text := "[INPUT]\n    Name dummy\n    Dummy \xff\n[FILTER]\n    Name modify\n    Match *\n    Set a b\n    Remove c\n    Set d e\n[OUTPUT]\n    Name null\n    Match *\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	ps := ToYAML(&out, file)
	var got []string
	for _, p := range ps {
		if p.Severity != option.Warning {
			t.Error(p)
		}
		got = append(got, p.Message)
	}
	want := []string{"the value is not valid UTF-8, which YAML cannot hold",
		`the option "set" is written twice in one map to keep the order, which other YAML tools may refuse`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("it says %q", got)
	}
}
