package pipetest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/pipetest"
)

// copied copies files of a directory to a new one.
func copied(t *testing.T, dir string, names ...string) string {
	t.Helper()
	to := t.TempDir()
	for _, n := range names {
		text, err := os.ReadFile(filepath.Join(dir, n))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, n), text, 0o640)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestUpdate(t *testing.T) {
	dir := copied(t, "testdata/update", "app.conf", "app.test.yaml")
	path := filepath.Join(dir, "app.test.yaml")
	_, f, results := runFile(t, path, false)
	changed, left, err := pipetest.Update(f, results)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/update/want.yaml", string(text))
	var b strings.Builder
	fmt.Fprintln(&b, changed, "changed")
	for _, l := range left {
		fmt.Fprintf(&b, "%s, %q: %s\n%s", l.Test.Name, l.Output, l.Why, strings.Join(append(l.Snippet, ""), "\n"))
	}
	report, f, results := runFile(t, path, false)
	b.WriteString(strings.ReplaceAll(report, dir+"/", ""))
	golden(t, "testdata/update/want.txt", b.String())

	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("mode of the new file: %v, %v", st.Mode(), err)
	}
	if changed, _, err := pipetest.Update(f, results); changed != 0 || err != nil {
		t.Errorf("a second update changed %d tests, %v", changed, err)
	}
	if again, err := os.ReadFile(path); err != nil || string(again) != string(text) {
		t.Error("a second update changed the file")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("files are left behind: %v", entries)
	}
}

// TestUpdateOfWindows: line ends stay what they are.
func TestUpdateOfWindows(t *testing.T) {
	dir := copied(t, "testdata/update", "app.conf")
	path := filepath.Join(dir, "app.test.yaml")
	text := "tests:\r\n  - name: a\r\n    inputs: [{tag: app.x, records: [{n: 1}]}]\r\n    expect:\r\n      pager: nothing\r\n      file.1:\r\n        count: 1"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	_, f, results := runFile(t, path, false)
	if _, _, err := pipetest.Update(f, results); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	want := strings.Replace(text, "pager: nothing", "pager:\r\n        - {n: 1, region: eu}", 1)
	if err != nil || string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}
