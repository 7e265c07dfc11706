package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOperationsNamesEveryMetric: every metric of ours that is in the code is
// explained in docs/operations.md, and there is no other.
func TestOperationsNamesEveryMetric(t *testing.T) {
	root := filepath.Join("..", "..")
	doc, err := os.ReadFile(filepath.Join(root, "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	literal := regexp.MustCompile(`"(kagari_[a-z_]+)"`)
	code := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root && d.Name() != ".." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range literal.FindAllStringSubmatch(string(text), -1) {
			if m[1] != "kagari_test" { // a kind of file
				code[m[1]] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]bool{}
	for _, m := range regexp.MustCompile("`(kagari_[a-z_]+)[{`]").FindAllStringSubmatch(string(doc), -1) {
		explained[m[1]] = true
	}
	for name := range code {
		if !explained[name] {
			t.Errorf("docs/operations.md does not explain %s", name)
		}
	}
	for name := range explained {
		if !code[name] {
			t.Errorf("docs/operations.md explains %s, which there is not", name)
		}
	}
}
