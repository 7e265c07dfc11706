package plugintest

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/parser/multiline"
	"github.com/kagarilog/kagari/plugin"
)

// Env returns an environment with no parsers but the built-in multiline ones, whose log goes to the test's. The
// caller may change any field before it makes a plugin with it.
func Env(t testing.TB) *plugin.Env {
	e, _ := LoggedEnv(t)
	return e
}

// LoggedEnv is Env together with the log.
func LoggedEnv(t testing.TB) (*plugin.Env, *Log) {
	log := &Log{t: t}
	t.Cleanup(log.end)
	return &plugin.Env{
		ID:         "test.0",
		DefaultTag: "test.0",
		Log:        slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Parser: func(name string) (plugin.Parser, error) {
			return nil, fmt.Errorf("parser %q is not defined", name)
		},
		Multiline: func(name string) (*multiline.Parser, error) {
			if p := multiline.NewBuiltin(strings.ToLower(name)); p != nil {
				return p, nil
			}
			return nil, fmt.Errorf("multiline parser %q is not defined", name)
		},
		Emitter:  func(string) plugin.Emitter { return &Emitter{} },
		Sections: func(path string) ([]plugin.Section, error) { return nil, fmt.Errorf("no file %q", path) },
		Stop:     func(code int) { t.Errorf("the plugin stopped the process with code %d", code) },
		Stats:    &plugin.Stats{},
		Metrics:  func() []plugin.Metric { return nil },
		Service: plugin.Service{Flush: time.Second, Grace: 5 * time.Second, Version: "0.0.0-test", EscapeUnicode: true,
			MultilineBufferLimit: multiline.DefaultBufferLimit},
	}, log
}

// Log keeps what a plugin logged. It may be written to and read from any
// goroutine.
type Log struct {
	t    testing.TB
	mu   sync.Mutex
	text strings.Builder
	over bool
}

var _ io.Writer = (*Log)(nil)

// Write takes one line.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if !l.over {
		l.t.Logf("log: %s", strings.TrimRight(string(p), "\n"))
	}
	return len(p), nil
}

// end stops the writing to the test, which is not allowed after it.
func (l *Log) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

// String returns everything logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Counters returns the counters of env as "name{label=value}" with their
// values, those at 0 left out.
func Counters(env *plugin.Env) map[string]uint64 {
	all := map[string]uint64{}
	env.Stats.Each(func(name, _, label, value string, n uint64) {
		if label != "" {
			name += "{" + label + "=" + value + "}"
		}
		if n != 0 {
			all[name] = n
		}
	})
	return all
}

// Dropped returns how many events env counted as dropped for the reason.
func Dropped(env *plugin.Env, reason string) uint64 {
	return Counters(env)[plugin.DropMetric+"{reason="+reason+"}"]
}

// Rejected returns how many inputs env counted as rejected for the reason.
func Rejected(env *plugin.Env, reason string) uint64 {
	return Counters(env)[plugin.RejectMetric+"{reason="+reason+"}"]
}

// Props makes properties from alternating keys and values.
func Props(keysAndValues ...string) []option.Property {
	if len(keysAndValues)%2 != 0 {
		panic("BUG: Props wants a value for every key")
	}
	var props []option.Property
	for i := 0; i < len(keysAndValues); i += 2 {
		props = append(props, option.Prop(keysAndValues[i], keysAndValues[i+1]))
	}
	return props
}

// Decode makes a configuration from alternating keys and values.
func Decode(d *plugin.Def, keysAndValues ...string) (plugin.Config, option.Problems) {
	return decode(d, Props(keysAndValues...))
}

func decode(d *plugin.Def, props []option.Property) (plugin.Config, option.Problems) {
	cfg := d.Config()
	return cfg, option.Decode(cfg.Fields(), props, d.Kind.String()+" "+d.Name, option.Pos{})
}

// TryInput makes an input from alternating keys and values; the error is that
// of the options or of New.
func TryInput(d *plugin.Def, env *plugin.Env, keysAndValues ...string) (plugin.Input, error) {
	cfg, problems := Decode(d, keysAndValues...)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return cfg.(plugin.InputConfig).New(env)
}

// NewInput makes an input from alternating keys and values.
func NewInput(t testing.TB, d *plugin.Def, env *plugin.Env, keysAndValues ...string) plugin.Input {
	t.Helper()
	in, err := TryInput(d, env, keysAndValues...)
	if err != nil {
		t.Fatalf("make input %s with %q: %v", d.Name, keysAndValues, err)
	}
	return in
}

// TryOutput makes an output from alternating keys and values; the error is
// that of the options or of New.
func TryOutput(d *plugin.Def, env *plugin.Env, keysAndValues ...string) (plugin.Output, error) {
	cfg, problems := Decode(d, keysAndValues...)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return cfg.(plugin.OutputConfig).New(env)
}

// NewOutput makes and starts an output from alternating keys and values and
// closes it when the test ends.
func NewOutput(t testing.TB, d *plugin.Def, env *plugin.Env, keysAndValues ...string) plugin.Output {
	t.Helper()
	out, err := TryOutput(d, env, keysAndValues...)
	if err != nil {
		t.Fatalf("make output %s with %q: %v", d.Name, keysAndValues, err)
	}
	start(t, out)
	return out
}

// start starts and at the end of the test closes p, if it wants that.
func start(t testing.TB, p any) {
	t.Helper()
	if s, ok := p.(plugin.Starter); ok {
		if err := s.Start(t.Context()); err != nil {
			t.Fatalf("start: %v", err)
		}
	}
	if c, ok := p.(io.Closer); ok {
		t.Cleanup(func() { _ = c.Close() })
	}
}

// NoLeaks fails the test if goroutines started after the call are left at its
// end. Call it before anything whose cleanup ends goroutines.
func NoLeaks(t testing.TB) {
	already := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, already) })
}
