package pipetest_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/builtin"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/pipetest"
	"github.com/kagarilog/kagari/plugin"
)

// odd is a filter that does what the test wants.
type odd struct {
	filter func(context.Context, *event.Batch) error
	start  error
}

func (o *odd) Fields() []option.Field                           { return nil }
func (o *odd) New(*plugin.Env) (plugin.Filter, error)           { return o, nil }
func (o *odd) Filter(ctx context.Context, b *event.Batch) error { return o.filter(ctx, b) }
func (o *odd) Start(context.Context) error                      { return o.start }
func (o *odd) registry() *plugin.Registry {
	def := &plugin.Def{Kind: plugin.KindFilter, Name: "odd", Config: func() plugin.Config { return o }}
	return plugin.NewRegistry(append(builtin.Registry().All(), def)...)
}

// oddTest is a test of a configuration with that filter.
func oddTest(t *testing.T, feed string, timeout time.Duration) *pipetest.Test {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("a.conf", "[INPUT]\n  Name tail\n  Path /x.log\n[FILTER]\n  Name odd\n  Match *\n[OUTPUT]\n  Name null\n  Match *\n")
	f, _, ps := pipetest.ReadFile(write("a.test.yaml", "tests:\n  - name: a\n    inputs: ["+feed+"]\n    expect: {null.0: {count: 1}}\n"), "", timeout)
	if f == nil {
		t.Fatal(ps.Err())
	}
	return f.Tests[0]
}

const (
	byTag  = "{tag: a, records: [{a: 1}]}"
	byTail = "{input: tail.0, lines: [a]}"
)

func TestAFilterThatDoesNotEnd(t *testing.T) {
	for _, feed := range []string{byTag, byTail} {
		o := &odd{filter: func(ctx context.Context, _ *event.Batch) error { <-ctx.Done(); return ctx.Err() }}
		began := time.Now()
		res := pipetest.Run(context.Background(), oddTest(t, feed, 100*time.Millisecond), o.registry())
		if res.Err == nil || !strings.Contains(res.Err.Error(), "longer than 100ms") || time.Since(began) > 5*time.Second {
			t.Errorf("%s: after %v: %v", feed, time.Since(began), res.Err)
		}
	}
}

func TestACallThatEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	o := &odd{filter: func(ctx context.Context, _ *event.Batch) error { cancel(); <-ctx.Done(); return nil }}
	res := pipetest.Run(ctx, oddTest(t, byTag, 0), o.registry())
	if res.Err == nil {
		t.Error("no error")
	}
}

func TestAFilterThatCannotStart(t *testing.T) {
	o := &odd{start: errors.New("no script")}
	res := pipetest.Run(context.Background(), oddTest(t, byTag, 0), o.registry())
	if res.Err == nil || !strings.Contains(res.Err.Error(), "no script") {
		t.Errorf("%v", res.Err)
	}
}

func TestAFilterThatPanics(t *testing.T) {
	o := &odd{filter: func(context.Context, *event.Batch) error { panic("oh") }}
	res := pipetest.Run(context.Background(), oddTest(t, byTag, 0), o.registry())
	if !res.Passed() || !strings.Contains(res.Log, "oh") {
		t.Errorf("%v, log %s", res.Err, res.Log)
	}
}

// TestAFlood: a filter that multiplies records fills no memory.
func TestAFlood(t *testing.T) {
	big := event.Value(event.AppendMapHeader(nil, 1))
	big = event.AppendString(event.AppendString(big, "a"), strings.Repeat("x", 1<<20))
	o := &odd{filter: func(_ context.Context, b *event.Batch) error {
		for range 100 {
			b.Add(1).SetRecord(big)
		}
		return nil
	}}
	res := pipetest.Run(context.Background(), oddTest(t, byTag, 0), o.registry())
	if res.Err == nil || !strings.Contains(res.Err.Error(), "more than 64 MB") {
		t.Errorf("%v", res.Err)
	}
}

// TestAPathOutside: the file of a test stays where tests have their files.
func TestAPathOutside(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", filepath.Join(dir, "tmp"))
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"../../x.log", "/../../x.log", "a/../../../x.log"} {
		o := &odd{filter: func(context.Context, *event.Batch) error { return nil }}
		res := pipetest.Run(context.Background(), oddTest(t, `{input: tail.0, path: "`+path+`", lines: [a]}`, 0), o.registry())
		if !res.Passed() {
			t.Errorf("%s: %v", path, res.Err)
		}
	}
	var left []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if strings.HasSuffix(path, "x.log") || strings.Contains(path, "kagari-test") {
			left = append(left, path)
		}
		return err
	})
	if err != nil || left != nil {
		t.Errorf("%v, %v", left, err)
	}
}

// TestNothingIsTouched: the files of a configuration are neither read nor made.
func TestNothingIsTouched(t *testing.T) {
	dir := t.TempDir()
	conf := strings.ReplaceAll(`[SERVICE]
    storage.path DIR/storage
    log_file DIR/log
    http_server on
[INPUT]
    Name tail
    Path DIR/*.log
    DB DIR/offsets.db
    storage.type filesystem
[OUTPUT]
    Name file
    Match *
    Path DIR/out
`, "DIR", dir)
	tests := "tests:\n  - name: a\n    inputs: [{input: tail.0, path: " + dir + "/a.log, lines: [fed]}]\n    expect: {file.0: [{log: fed}]}\n"
	for name, text := range map[string]string{"x.conf": conf, "x.test.yaml": tests, "a.log": "real\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	report, _, results := runFile(t, filepath.Join(dir, "x.test.yaml"), true)
	if !results[0].Passed() {
		t.Error(report)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("%v, %v", entries, err)
	}
}
