package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// changing is what no two runs have in common: times, chunks, ids.
var changing = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z|[0-9a-f]{32}|[0-9a-f]{16}-`)

// TestReliabilityDocs does what docs/reliability.md says, in its order.
func TestReliabilityDocs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "reliability.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	commands := 0
	parts := strings.Split(string(text), "\n```")
	for i := 1; i < len(parts); i += 2 {
		lang, code, _ := strings.Cut(parts[i], "\n")
		code += "\n"
		if name, ok := strings.CutPrefix(lang, "text "); ok {
			if err := os.WriteFile(name, []byte(code), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if lang != "console" {
			continue
		}
		for _, c := range strings.Split(code, "$ ")[1:] {
			line, want, _ := strings.Cut(c, "\n")
			commands++
			got := changing.ReplaceAllString(shell(t, line), "X")
			if diff := cmp.Diff(changing.ReplaceAllString(want, "X"), got); diff != "" {
				t.Errorf("%s (-docs +real):\n%s", line, diff)
			}
		}
	}
	if commands < 6 {
		t.Errorf("%d commands were found", commands)
	}
}

// shell runs a line of a console block.
func shell(t *testing.T, line string) string {
	t.Helper()
	line, input, _ := strings.Cut(line, " < ")
	words := strings.Fields(line)
	if words[0] != "kagari" { // head -1 and cat of one file
		files, err := filepath.Glob(words[len(words)-1])
		if err != nil || len(files) != 1 {
			t.Fatalf("%s: %d files, %v", line, len(files), err)
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		if words[0] == "head" {
			first, _, _ := strings.Cut(string(text), "\n")
			return first + "\n"
		}
		return string(text)
	}
	cmd := exec.Command(words[0], words[1:]...)
	if input != "" {
		f, err := os.Open(input)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.Stdin = f
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v", line, err)
	}
	return string(out)
}
