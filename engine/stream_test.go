package engine_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/logging"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// task adds a stream task of the main file.
func (b *bench) task(sql string) {
	b.cfg.StreamTasks = append(b.cfg.StreamTasks, &plugin.Section{Name: "stream_processor", Props: properties([]string{"name", "x", "exec", sql})})
}

// lines collects "tag record" of all that arrives.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) send(_ context.Context, c *event.Chunk) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for cur := c.Cursor(); cur.Next(); {
		l.all = append(l.all, c.Tag+" "+string(event.AppendValueJSON(nil, cur.Record, event.JSONOptions{})))
	}
	return nil
}

func (l *lines) want(t *testing.T, want ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.all)
	slices.Sort(want)
	if !slices.Equal(l.all, want) {
		t.Errorf("arrived\n%s\nwant\n%s", strings.Join(l.all, "\n"), strings.Join(want, "\n"))
	}
}

func TestResultsOfStreamTasksAreRoutedAndChained(t *testing.T) {
	b := newBench(t)
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		_, err := emit(ctx, out, "t", 0, 4)
		if err != nil {
			return err
		}
		return plugin.ErrStop
	})
	b.cfg.Inputs[0].Props = properties([]string{"alias", "numbers"})
	// The results of a task pass the filters of their tag.
	b.filter(func(b *event.Batch) error {
		for i := range b.Events {
			b.Events[i].Append(b.String("seen"), b.Bool(true))
		}
		return nil
	}, "match", "odd")
	b.task("CREATE STREAM big AS SELECT n FROM STREAM:numbers WHERE n > 1;")
	b.task("CREATE STREAM bigger WITH (tag='odd') AS SELECT n AS m FROM STREAM:big WHERE n = 3;")
	b.task("CREATE STREAM named AS SELECT n AS i FROM STREAM:IN0.0 WHERE n = 0;")
	b.task("CREATE STREAM hidden WITH (routable='false') AS SELECT * FROM TAG:'t';")
	b.task("CREATE STREAM unhidden AS SELECT n AS h FROM STREAM:hidden WHERE n = 2;")
	// Everything that has a tag, but not its own results.
	b.task("CREATE STREAM copy WITH (tag='copy') AS SELECT n FROM TAG:'*' WHERE n = 2;")
	var got lines
	b.output(got.send, "match", "*")
	b.run()
	got.want(t, `t {"n":0}`, `t {"n":1}`, `t {"n":2}`, `t {"n":3}`, `big {"n":2}`, `big {"n":3}`, `odd {"m":3,"seen":true}`, `named {"i":0}`,
		`unhidden {"h":2}`, `copy {"n":2}`, `copy {"n":2}`, `copy {"n":2}`)
}

func TestTasksThatReadEachOtherEnd(t *testing.T) {
	b := newBench(t)
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		if _, err := emit(ctx, out, "a", 0, 1); err != nil {
			return err
		}
		return plugin.ErrStop
	})
	b.task("CREATE STREAM one WITH (tag='b') AS SELECT * FROM TAG:'a';")
	b.task("CREATE STREAM two WITH (tag='a') AS SELECT * FROM TAG:'b';")
	var got lines
	b.output(got.send, "match", "*")
	b.run()
	got.want(t, `a {"n":0}`, `b {"n":0}`, `a {"n":0}`)
}

// TestSourceWaitsForResults: an ack is for the results of a task too.
func TestSourceWaitsForResults(t *testing.T) {
	b := newBench(t)
	release := make(chan struct{})
	var acked atomic.Pointer[atomic.Bool]
	var original atomic.Bool
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		a, err := emit(ctx, out, "t", 0, 1)
		if err != nil {
			return err
		}
		acked.Store(a)
		for !original.Load() {
			time.Sleep(time.Millisecond)
		}
		if a.Load() {
			t.Error("acknowledged before the result was delivered")
		}
		close(release)
		return plugin.ErrStop
	})
	b.task("CREATE STREAM s AS SELECT n FROM TAG:'t';")
	b.output(func(context.Context, *event.Chunk) error { original.Store(true); return nil }, "match", "t")
	b.output(func(ctx context.Context, _ *event.Chunk) error { <-release; return nil }, "match", "s")
	b.run()
	if !acked.Load().Load() {
		t.Error("not acknowledged after all was delivered")
	}
}

func TestWindowsReportInTimeAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.input(false, func(ctx context.Context, out plugin.Emitter) error {
			time.Sleep(1500 * time.Millisecond)
			for i := range 4 { // at 1.5, 4.5, 7.5 and 10.5 s
				if _, err := emit(ctx, out, "t", i, i+1); err != nil {
					return err
				}
				time.Sleep(3 * time.Second)
			}
			return plugin.ErrStop
		})
		b.task("CREATE STREAM tumbles AS SELECT COUNT(*) AS c, MAX(n) AS m FROM TAG:'t' WINDOW TUMBLING (5 SECOND);")
		b.task("CREATE STREAM hops AS SELECT COUNT(*) AS c, MAX(n) AS m FROM TAG:'t' WINDOW HOPPING (6 SECOND, ADVANCE BY 2 SECOND);")
		b.task("CREATE STREAM late AS SELECT SUM(c) AS s FROM STREAM:tumbles WINDOW TUMBLING (60 SECOND);")
		var got lines
		b.output(got.send, "match", "*s")
		b.output(got.send, "match", "late")
		b.run()
		got.want(t, `tumbles {"c":2,"m":1}`, `tumbles {"c":1,"m":2}`, `tumbles {"c":1,"m":3}`,
			`hops {"c":2,"m":1}`, `hops {"c":2,"m":2}`, `hops {"c":2,"m":2}`, `hops {"c":2,"m":3}`, `late {"s":4}`)
	})
}

func TestSelectPrints(t *testing.T) {
	b := newBench(t)
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		if _, err := emit(ctx, out, "t", 1, 3); err != nil {
			return err
		}
		return plugin.ErrStop
	})
	b.task("SELECT n, RECORD_TAG() FROM TAG:'t' WHERE n > 0;")
	b.output(func(context.Context, *event.Chunk) error { return nil }, "match", "none")
	var printed bytes.Buffer
	e, ps := engine.New(b.cfg, plugin.NewRegistry(b.defs...), engine.Options{Handler: logging.NewHandler(io.Discard, slog.LevelError), Stdout: &printed})
	if ps.HasErrors() {
		t.Fatal(ps.Err())
	}
	if _, err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := `[0] [[1.000000000, {}], {"n"=>1, "RECORD_TAG()"=>"t"}]` + "\n" + `[0] [[2.000000000, {}], {"n"=>2, "RECORD_TAG()"=>"t"}]` + "\n"
	if printed.String() != want {
		t.Errorf("printed is\n%s\nwant\n%s", &printed, want)
	}
}

func TestMistakesInStatements(t *testing.T) {
	const bad, good = "SELEC n FROM TAG:'t';", "CREATE STREAM s AS SELECT n FROM TAG:'t';"
	f := func(check bool, section string, severity option.Severity, want ...string) {
		t.Helper()
		b := newBench(t)
		b.input(false, func(ctx context.Context, out plugin.Emitter) error {
			if _, err := emit(ctx, out, "t", 0, 1); err != nil {
				return err
			}
			return plugin.ErrStop
		})
		b.task(good)
		b.task(bad)
		b.cfg.StreamTasks[1].Name = section
		var got lines
		b.output(got.send, "match", "*")
		e, ps := engine.New(b.cfg, plugin.NewRegistry(b.defs...), engine.Options{Handler: logging.NewHandler(io.Discard, slog.LevelError), Check: check})
		if len(ps) == 0 || ps[0].Severity != severity || !strings.Contains(ps[0].Message, "expected SELECT") || !strings.Contains(ps[0].Fix, "SELECT") {
			t.Errorf("the problems are %v", ps)
		}
		if check {
			return
		}
		if _, err := e.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		got.want(t, want...)
	}
	f(true, "stream_processor", option.Error)
	f(false, "stream_processor", option.Warning, `t {"n":0}`, `s {"n":0}`)
	f(false, "stream_task", option.Warning, `t {"n":0}`)
}

func TestNamesOfStreamsAreTaken(t *testing.T) {
	b := newBench(t)
	b.input(false, func(context.Context, plugin.Emitter) error { return nil }, "alias", "web")
	b.output(func(context.Context, *event.Chunk) error { return nil }, "match", "*")
	b.task("CREATE STREAM web AS SELECT * FROM TAG:'x';")
	b.task("CREATE STREAM in0.0 AS SELECT * FROM TAG:'x';")
	b.task("CREATE STREAM twice AS SELECT * FROM TAG:'x';")
	b.task("CREATE STREAM twice AS SELECT * FROM TAG:'x';")
	b.task("SELECT * FROM STREAM:later;")
	b.task("CREATE STREAM later AS SELECT * FROM TAG:'x';")
	b.task("FLUSH SNAPSHOT nothing AS SELECT * FROM TAG:'x';")
	b.task("CREATE STREAM loop AS SELECT * FROM TAG:'l*';")
	_, ps := engine.New(b.cfg, plugin.NewRegistry(b.defs...), engine.Options{Handler: logging.NewHandler(io.Discard, slog.LevelError)})
	want := []string{`name "web" already`, `name "in0.0" already`, `name "twice" already`, `no input or stream "later"`, "own results", "no task creates the snapshot"}
	if len(ps) != len(want) {
		t.Fatalf("the problems are %v", ps)
	}
	for i, p := range ps {
		if !strings.Contains(p.Message, want[i]) {
			t.Errorf("problem %d is %v, want %q", i, p, want[i])
		}
	}
}
