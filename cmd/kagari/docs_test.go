package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// took is a duration in parentheses, which no two runs have in common.
var took = regexp.MustCompile(`\(\d+m?s\)`)

// TestDocs does what docs/testing.md says, in its order: a code block whose
// first line is a comment with a file name is that file, as is one that is called
// text with a file name, and a console block is
// commands with what they print. Test files that no command names must pass.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "testing.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	files, commands := 0, 0
	parts := strings.Split(string(text), "\n```")
	var tests []string
	for i := 1; i < len(parts); i += 2 {
		lang, code, _ := strings.Cut(parts[i], "\n")
		code += "\n"
		first, _, _ := strings.Cut(code, "\n")
		name, isFile := strings.CutPrefix(first, "# ")
		isFile = isFile && !strings.Contains(name, " ")
		if text, ok := strings.CutPrefix(lang, "text "); ok {
			name, isFile = text, true
		}
		switch {
		case lang == "console":
			for _, c := range strings.Split(code, "$ ")[1:] {
				line, want, _ := strings.Cut(c, "\n")
				commands++
				got := command(t, line)
				if diff := cmp.Diff(took.ReplaceAllString(want, "(TIME)"), took.ReplaceAllString(got, "(TIME)")); diff != "" {
					t.Errorf("%s (-docs +real):\n%s", line, diff)
				}
			}
		case isFile:
			files++
			if err := os.WriteFile(name, []byte(code), 0o644); err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, ".test.yaml") && !strings.Contains(string(text), "$ kagari test "+name) && !strings.Contains(string(text), "--update "+name) {
				tests = append(tests, name)
			}
		}
	}
	for _, name := range tests {
		if got := command(t, "kagari test "+name); strings.Contains(got, "FAILED") {
			t.Errorf("%s:\n%s", name, got)
		}
	}
	if files < 9 || commands < 6 {
		t.Errorf("%d files and %d commands were found", files, commands)
	}
}

// command runs a line of a console block and returns what it prints.
func command(t *testing.T, line string) string {
	t.Helper()
	words := strings.Fields(line)
	switch words[0] {
	case "kagari":
		var out bytes.Buffer
		run(words[1:], strings.NewReader(""), &out, &out)
		return out.String()
	case "cat":
		text, err := os.ReadFile(words[1])
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	t.Fatalf("the command %q is not known here", words[0])
	return ""
}

// TestReadmes: the example of a test in both of them passes, with a configuration
// that fits.
func TestReadmes(t *testing.T) {
	const conf = "[INPUT]\n  Name tail\n  Path /a.log\n  Parser json\n[FILTER]\n  Name grep\n  Match *\n  Exclude level debug\n[OUTPUT]\n  Name null\n  Alias pager\n  Match *\n"
	dir := t.TempDir()
	for _, readme := range []string{"README.md", "README.ja.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", readme))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, found := strings.Cut(string(text), "```yaml\n# fluent-bit.test.yaml")
		example, _, ended := strings.Cut(rest, "```")
		if !found || !ended {
			t.Fatalf("%s has no example of a test", readme)
		}
		for name, text := range map[string]string{"fluent-bit.conf": conf, "fluent-bit.test.yaml": "#" + example} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := command(t, "kagari test "+filepath.Join(dir, "fluent-bit.test.yaml")); !strings.Contains(got, "1 test passed") {
			t.Errorf("%s:\n%s", readme, got)
		}
	}
}
