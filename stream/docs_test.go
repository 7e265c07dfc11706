package stream

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocs runs the examples of docs/sql.md: an sql block gives what the json
// block behind it says, and statements in the blocks of configurations are right.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../docs/sql.md")
	if err != nil {
		t.Fatal(err)
	}
	var records []string
	sql, ran := "", 0
	parts := strings.Split("\n"+string(data), "\n```")
	exec := regexp.MustCompile(`(?m)^\s*(?:Exec|exec:)\s+(.*)$`)
	for i := 1; i < len(parts); i += 2 {
		lang, body, _ := strings.Cut(parts[i], "\n")
		lines := strings.Split(body, "\n")
		switch lang {
		case "json records":
			records = lines
		case "sql":
			sql = body
			compile(t, sql, Options{})
		case "json":
			ran++
			if got := strings.Join(query(t, sql, Options{}, records...), "\n"); got != body {
				t.Errorf("%s\n gives\n%s\nbut the documentation says\n%s", sql, got, body)
			}
		case "ini", "yaml":
			for _, m := range exec.FindAllStringSubmatch(body, -1) {
				compile(t, m[1], Options{})
			}
		case "console":
			cmd, _, _ := strings.Cut(body, "\n")
			compile(t, cmd[strings.Index(cmd, "'")+1:strings.LastIndex(cmd, "'")], Options{Exact: true, Loose: true, Whole: true})
		}
	}
	if ran < 6 {
		t.Errorf("there are only %d examples with results", ran)
	}
}
