package config

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// seeds adds the files of testdata of one extension.
func seeds(f *testing.F, ext string) {
	files, err := filepath.Glob("testdata/*" + ext)
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
}

// load reads a text as a file of its own, in a directory where nothing else is.
func load(t *testing.T, name string, text []byte) *Config {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, ps := Load(name, LoadOptions{LookupEnv: testEnv})
	broken := ps.HasErrors()
	ps = append(ps, cfg.Check(testRegistry())...)
	Render(io.Discard, ps, cfg.Sources, true)
	for _, p := range ps {
		if !utf8.ValidString(p.Message) && utf8.Valid(text) {
			t.Errorf("the message %q is not valid UTF-8", p.Message)
		}
	}
	if broken {
		return nil
	}
	return cfg
}

// What the two formats do not have in common: options that are maps in YAML,
// files beside the file, texts that are no UTF-8, and values that YAML refuses
// as an option of their own.
var apart = regexp.MustCompile(`(?i)include|_file|processors|routes|telemetry|file://|rule|custom|upstream|plugin|strea|\[(m|p|u|c|st|str|]|[^\]]*[^ -~])`)

func FuzzClassic(f *testing.F) {
	seeds(f, ".conf")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		t.Chdir(dir)
		cfg := load(t, "c.conf", text)
		var out bytes.Buffer
		ps := ToYAML(&out, "c.conf")
		if cfg == nil || apart.Match(text) || !utf8.Valid(text) {
			return
		}
		if ps.HasErrors() {
			t.Fatalf("it cannot be converted: %v", ps)
		}
		want := dump(cfg)
		converted := load(t, "y.yaml", out.Bytes())
		if converted == nil {
			_, ps := Load("y.yaml", LoadOptions{LookupEnv: testEnv})
			t.Fatalf("converted it is refused: %v\n%s", ps, out.String())
		}
		if got := dump(converted); got != want {
			t.Errorf("converted it means\n%s\nwant\n%s\n%s", got, want, out.String())
		}
	})
}

func FuzzYAML(f *testing.F) {
	seeds(f, ".yaml")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		t.Chdir(dir)
		load(t, "y.yaml", text)
	})
}

func FuzzYAMLScalar(f *testing.F) {
	for _, s := range []string{"", "a: b", "- x", "'", "\u2028", "\x00\x1f\x7f", "*a", "a #b", "-1", "...", "\ufffe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		written := scalarYAML(text)
		if strings.Contains(written, "\n") {
			t.Fatalf("%q is written on two lines", text)
		}
		docs, err := parseYAML("f", []byte("- k: "+written+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := docs[0].items[0].pairs[0].val.text; got != text {
			t.Errorf("%q is read back as %q", text, got)
		}
	})
}
