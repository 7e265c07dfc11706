package pipetest_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/kagarilog/kagari/builtin"
	"github.com/kagarilog/kagari/pipetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// golden compares text with a file, or with UPDATE_GOLDEN writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); UPDATE_GOLDEN=1 writes it anew:\n%s", path, diff)
	}
}

var times = regexp.MustCompile(`\d{4}[-/]\d\d[-/]\d\d[T ][0-9:.]+Z?`)

// runFile runs the tests of a file and returns what the report says, without
// what is never the same.
func runFile(t *testing.T, path string, verbose bool) (string, *pipetest.File, []*pipetest.Result) {
	t.Helper()
	var b strings.Builder
	rep := &pipetest.Reporter{W: &b, Verbose: verbose}
	f, src, ps := pipetest.ReadFile(path, "", 0)
	if f == nil {
		rep.Refused(path, src, ps)
		return b.String(), nil, nil
	}
	var results []*pipetest.Result
	for _, test := range f.Tests {
		res := pipetest.Run(context.Background(), test, builtin.Registry())
		res.Duration = 0
		res.Log = times.ReplaceAllString(res.Log, "TIME")
		rep.Report(f, res)
		results = append(results, res)
	}
	rep.Summary()
	return b.String(), f, results
}

// TestRun runs every test file below testdata/run and compares the report.
func TestRun(t *testing.T) {
	dirs, err := filepath.Glob("testdata/run/*")
	if err != nil || len(dirs) == 0 {
		t.Fatal(err, dirs)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			files, err := pipetest.Find([]string{dir})
			if err != nil {
				t.Fatal(err)
			}
			got, _, _ := runFile(t, files[0], false)
			golden(t, filepath.Join(dir, "want.txt"), got)
		})
	}
}
