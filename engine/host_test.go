package engine_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/logging"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// counting is a graph whose input emits rising numbers, as a source does that
// keeps its data, and whose output starts with start.
func counting(t *testing.T, n *atomic.Int64, got *collector, start func() error) *engine.Engine {
	b := newBench(t)
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		for ctx.Err() == nil {
			i := int(n.Load())
			if _, err := emit(ctx, out, "t", i, i+1); err != nil {
				return err
			}
			n.Add(1)
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	b.defs = append(b.defs, &plugin.Def{Kind: plugin.KindOutput, Name: "starting", Config: func() plugin.Config {
		return outputConfig{&script{send: got.send, start: start}}
	}})
	b.cfg.Outputs = append(b.cfg.Outputs, &config.Instance{Kind: plugin.KindOutput, Name: "starting", Props: properties([]string{"match", "*"})})
	return b.engine()
}

// hosted runs h and returns what stops it and waits.
func hosted(t *testing.T, h *engine.Host) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := h.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return func() { cancel(); <-done }
}

func TestReloadLosesNothing(t *testing.T) {
	var got collector
	var n atomic.Int64
	make1 := func() *engine.Engine { return counting(t, &n, &got, nil) }
	bad := true
	h := engine.NewHost(make1(), func() (*engine.Engine, error) {
		if bad {
			return nil, errors.New("a bad file")
		}
		return make1(), nil
	}, slog.New(slog.DiscardHandler))
	stop := hosted(t, h)
	time.Sleep(50 * time.Millisecond)
	if err := h.Reload(); err == nil || h.Reloads() != 0 {
		t.Errorf("a bad file is reloaded: %v", err)
	}
	bad = false
	for i := range 5 {
		if err := h.Reload(); err != nil {
			t.Fatal(err)
		}
		for h.Reloads() <= i {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	if !slices.Equal(got.ns, upTo(int(n.Load()))) {
		t.Errorf("after five reloads %d of %d records arrived", len(got.ns), n.Load())
	}
}

// A new configuration may be good and still not start, because its port is
// taken. The process must not end with it.
func TestEngineThatCannotStartIsReplacedByItsPredecessor(t *testing.T) {
	var got collector
	var n atomic.Int64
	fail := errors.New("the port is taken")
	h := engine.NewHost(counting(t, &n, &got, nil), func() (*engine.Engine, error) {
		return counting(t, &n, &got, func() error { return fail }), nil
	}, slog.New(slog.DiscardHandler))
	stop := hosted(t, h)
	time.Sleep(50 * time.Millisecond)
	if err := h.Reload(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	before := n.Load()
	time.Sleep(100 * time.Millisecond)
	if n.Load() == before {
		t.Error("nothing is at work after a reload that could not start")
	}
	if h.Reloads() != 0 {
		t.Errorf("it counts as %d reloads", h.Reloads())
	}
	stop()
	if !slices.Equal(got.numbers(), upTo(int(n.Load()))) {
		t.Errorf("%d of %d records arrived", len(got.numbers()), n.Load())
	}
}

func TestFirstEngineThatCannotStartEndsTheHost(t *testing.T) {
	var got collector
	var n atomic.Int64
	fail := errors.New("the port is taken")
	h := engine.NewHost(counting(t, &n, &got, func() error { return fail }), nil, slog.New(slog.DiscardHandler))
	if sum, err := h.Run(t.Context()); !errors.Is(err, fail) || sum.ExitCode != 1 {
		t.Errorf("%+v, %v; want exit code 1 and the error", sum, err)
	}
}

func TestSecondReloadReplacesTheFirst(t *testing.T) {
	var got collector
	var n, made atomic.Int64
	var h *engine.Host
	started := make(chan int64, 10)
	h = engine.NewHost(counting(t, &n, &got, nil), func() (*engine.Engine, error) {
		me := made.Add(1)
		return counting(t, &n, &got, func() error { started <- me; return nil }), nil
	}, slog.New(slog.DiscardHandler))
	for range 3 { // Before Run, so that nothing has taken over yet.
		if err := h.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	stop := hosted(t, h)
	if me := <-started; me != 3 {
		t.Errorf("engine %d took over, want the newest, 3", me)
	}
	stop()
	if h.Reloads() != 1 {
		t.Errorf("%d reloads are counted, want 1", h.Reloads())
	}
}

func TestPanicInNewIsAProblemOfTheConfiguration(t *testing.T) {
	b := newBench(t)
	b.defs = append(b.defs, &plugin.Def{Kind: plugin.KindInput, Name: "bad", Config: func() plugin.Config { return panicking{} }})
	b.cfg.Inputs = append(b.cfg.Inputs, &config.Instance{Kind: plugin.KindInput, Name: "bad"})
	if e, ps := newEngine(b); e != nil || !strings.Contains(ps.Err().Error(), "a bug in New") {
		t.Errorf("%v, %v", e, ps)
	}
}

type panicking struct{}

func (panicking) Fields() []option.Field                { return nil }
func (panicking) New(*plugin.Env) (plugin.Input, error) { panic("a bug in New") }

func newEngine(b *bench) (*engine.Engine, option.Problems) {
	return engine.New(b.cfg, plugin.NewRegistry(b.defs...), engine.Options{Handler: logging.NewHandler(io.Discard, slog.LevelError)})
}

func TestEqualAliasesAreToldApart(t *testing.T) {
	b := newBench(t)
	for range 3 {
		b.input(false, idle, "alias", "x")
		b.output(new(collector).send, "match", "*", "alias", "x")
	}
	e, ps := newEngine(b)
	if e == nil || len(ps) != 4 || !strings.Contains(ps[0].Message, `the alias "x" is also`) {
		t.Fatalf("problems %v, want a warning for each but the first", ps)
	}
	seen := map[string]bool{}
	for _, m := range e.Metrics() {
		key := m.Name
		for _, l := range m.Labels {
			key += " " + l.Name + "=" + l.Value
		}
		if seen[key] {
			t.Errorf("metric %s is given twice", key)
		}
		seen[key] = true
	}
	if !seen["fluentbit_input_records_total name=x"] || !seen["fluentbit_input_records_total name=x.3"] {
		t.Error("the names are not x, x.2 and x.3")
	}
}

func TestOptionsWithoutEffectAreTold(t *testing.T) {
	b := newBench(t)
	b.cfg.Service.DNSMode = "TCP"
	b.cfg.Service.DNSPreferIPv4 = true
	b.input(false, idle, "log_suppress_interval", "5", "storage.type", "memrb")
	b.output(new(collector).send, "match", "*", "storage.total_limit_size", "5M")
	_, ps := newEngine(b)
	var keys []string
	for _, p := range ps {
		if p.Severity != option.Warning {
			t.Errorf("%v is no warning", p)
		}
		keys = append(keys, p.Key)
	}
	want := []string{"dns.mode", "dns.prefer_ipv4", "log_suppress_interval", "storage.type", "storage.total_limit_size"}
	if !slices.Equal(keys, want) {
		t.Errorf("warned about %q, want %q", keys, want)
	}
	if _, ps := newEngine(newBench(t)); len(ps) != 0 {
		t.Errorf("defaults are warned about: %v", ps)
	}
}

func TestInputThatIsNotRoutableFeedsNoOutput(t *testing.T) {
	b := newBench(t)
	var got collector
	filtered := 0
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		_, err := emit(ctx, out, "t", 0, 3)
		return errors.Join(err, plugin.ErrStop)
	}, "routable", "off")
	b.filter(func(*event.Batch) error { filtered++; return nil }, "match", "*")
	b.output(got.send, "match", "*")
	b.run()
	if len(got.ns) != 0 || filtered != 1 {
		t.Errorf("the output got %v, the filter %d batches", got.ns, filtered)
	}
}

func TestInputsInheritTheStorageTypeOfTheService(t *testing.T) {
	b := newBench(t)
	b.cfg.Service.Storage.Type, b.cfg.Service.Storage.Inherit = "filesystem", true
	b.input(false, idle)
	b.output(new(collector).send, "match", "*")
	if _, ps := newEngine(b); !ps.HasErrors() {
		t.Error("the input does not ask for storage.path, so it does not use it")
	}
}

func TestMetricsThatNoOutputTakesAreCounted(t *testing.T) {
	b := newBench(t)
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		m := event.NewBatch("m")
		m.Signal, m.Payload = event.Metrics, []byte("payload")
		return errors.Join(out.Emit(ctx, m), plugin.ErrStop)
	})
	b.output(new(collector).send, "match", "*")
	e := b.engine()
	if _, err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, m := range e.Metrics() {
		if m.Name == plugin.DropMetric && m.Value != 1 {
			t.Errorf("%v %v is %v, want 1", m.Name, m.Labels, m.Value)
		}
	}
}
