package plugintest

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// engineOptions are read by the engine for every instance; a plugin must not
// declare them.
var engineOptions = []string{
	"name", "tag", "match", "match_regex", "alias", "log_level", "log_suppress_interval",
	"mem_buf_limit", "storage.type", "storage.pause_on_chunks_overlimit", "storage.total_limit_size", "storage.total_limit_policy",
	"retry_limit", "workers", "threaded", "processors", "condition", "active", "routable", "no_multiplex",
}

// Definition checks a plugin's description and options: they are documented,
// defaults decode to themselves, and New with the given keys and values
// (those that are required, at least) opens nothing and starts nothing.
func Definition(t *testing.T, d *plugin.Def, keysAndValues ...string) {
	t.Helper()
	DefinitionIn(t, d, func(*plugin.Env) {}, keysAndValues...)
}

// DefinitionIn is Definition with a changed environment.
func DefinitionIn(t *testing.T, d *plugin.Def, change func(*plugin.Env), keysAndValues ...string) {
	t.Helper()
	t.Run("description", func(t *testing.T) { description(t, d) })
	t.Run("options", func(t *testing.T) { options(t, d) })
	t.Run("new opens nothing", func(t *testing.T) { newOpensNothing(t, d, change, keysAndValues) })
}

func description(t *testing.T, d *plugin.Def) {
	for _, name := range append([]string{d.Name}, d.Aliases...) {
		if name == "" || name != strings.ToLower(name) {
			t.Errorf("name %q is not in lower case", name)
		}
	}
	if d.Summary == "" || strings.HasSuffix(d.Summary, ".") || strings.Contains(d.Summary, "\n") {
		t.Errorf("summary %q is not one line without a full stop", d.Summary)
	}
	if !d.Hidden && !strings.Contains(d.Doc, d.Name) {
		t.Error("the documentation does not even name the plugin")
	}
	var ok bool
	switch cfg := d.Config(); d.Kind {
	case plugin.KindInput:
		_, ok = cfg.(plugin.InputConfig)
	case plugin.KindOutput:
		_, ok = cfg.(plugin.OutputConfig)
	default:
		_, ok = cfg.(plugin.FilterConfig)
	}
	if !ok {
		t.Errorf("the configuration cannot make an %s", d.Kind)
	}
}

func options(t *testing.T, d *plugin.Def) {
	seen := map[string]bool{}
	for _, f := range d.Config().Fields() {
		for _, name := range append([]string{f.Name}, f.Aliases...) {
			low := strings.ToLower(name)
			if seen[low] {
				t.Errorf("option %q is declared twice", name)
			}
			seen[low] = true
			if d.Kind != plugin.KindInput && low == "tag" || d.Kind == plugin.KindInput && low == "workers" ||
				d.Kind == plugin.KindFilter && low == "condition" {
				// The engine has tag for inputs only, workers for outputs only, and
				// condition for processors only.
				continue
			}
			if slices.Contains(engineOptions, low) || strings.HasPrefix(low, "thread.ring_buffer.") {
				t.Errorf("option %q belongs to the engine", name)
			}
		}
		if !strings.HasSuffix(strings.TrimSpace(f.Doc), ".") {
			t.Errorf("option %q: the documentation %q is not a sentence", f.Name, f.Doc)
		}
		if f.Default == "" || f.Prefix {
			continue
		}
		// A default is written as a user would, so it must be accepted.
		ps := option.Decode(d.Config().Fields(), []option.Property{option.Prop(f.Name, f.Default)}, d.Name, option.Pos{})
		for _, p := range ps {
			if p.Key == f.Name && f.Deprecated == "" && !strings.Contains(p.Message, "is missing") {
				t.Errorf("option %q: its default %q is not accepted: %v", f.Name, f.Default, p)
			}
		}
	}
}

func newOpensNothing(t *testing.T, d *plugin.Def, change func(*plugin.Env), keysAndValues []string) {
	env := Env(t)
	change(env)
	files, goroutines := openFiles(t), runtime.NumGoroutine()
	cfg, problems := decode(d, Props(keysAndValues...))
	if err := problems.Err(); err != nil {
		t.Fatalf("options %q: %v", keysAndValues, err)
	}
	var p any
	var err error
	switch cfg := cfg.(type) {
	case plugin.InputConfig:
		p, err = cfg.New(env)
	case plugin.OutputConfig:
		p, err = cfg.New(env)
	case plugin.FilterConfig:
		p, err = cfg.New(env)
	}
	if err != nil {
		t.Fatalf("New with %q: %v", keysAndValues, err)
	}
	runtime.KeepAlive(p)
	if now := openFiles(t); now > files {
		t.Errorf("New opened %d files", now-files)
	}
	// Goroutines of earlier tests may still be ending, so only more count.
	for range 100 {
		if runtime.NumGoroutine() <= goroutines {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("New started %d goroutines", runtime.NumGoroutine()-goroutines)
}

// openFiles counts the process's file descriptors, 0 where that cannot be told.
func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Logf("open files are not counted: %v", err)
		return 0
	}
	return len(entries)
}
