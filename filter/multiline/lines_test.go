package multiline

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinitionOfTheModeParser(t *testing.T) {
	plugintest.Definition(t, Def(), "multiline.parser", "java", "multiline.key_content", "log")
}

func newLinesRig(t *testing.T, more ...string) *rig {
	return newRig(t, append([]string{"multiline.parser", "java", "multiline.key_content", "log"}, more...)...)
}

// line makes a record of a line of text with a number.
func line(n int, text string) string { return fmt.Sprintf(`{"log":%q,"i":%d}`, text, n) }

const (
	thrown = "java.lang.RuntimeException: shop closed"
	at1    = "    at com.example.Shop.open(Shop.java:12)"
	at2    = "    at com.example.Main.main(Main.java:5)"
)

// joined is the record that lines make.
func joined(n int, lines ...string) string { return line(n, strings.Join(lines, "\n")) }

func TestLinesAreJoinedAcrossBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLinesRig(t)
		r.expect("left", r.pass("s", "t", nil, line(0, "a"), line(1, thrown), line(2, at1)))
		r.expect("at once", r.emitted(), "t 0 "+line(0, "a"))
		r.expect("left", r.pass("s", "t", nil, line(3, at2), line(4, "b"), `{"x":1}`, `{"log":5}`, line(5, thrown)))
		r.expect("with the next", r.emitted()[1:],
			"t 1 "+joined(1, thrown, at1, at2), "t 1 "+line(4, "b"), `t 2 {"x":1}`, `t 3 {"log":5}`)
		time.Sleep(1999 * time.Millisecond)
		r.expect("before flush_ms", r.emitted()[5:])
		time.Sleep(2 * time.Millisecond)
		r.expect("after flush_ms", r.emitted()[5:], "t 4 "+line(5, thrown))
		// As in Fluent Bit, lines that come later are still joined with each other.
		r.pass("s", "t", nil, line(6, at1), line(7, at2), line(8, "c"))
		r.expect("late lines", r.emitted()[6:], "t 0 "+joined(6, at1, at2), "t 2 "+line(8, "c"))
		if n := plugintest.Counters(r.env)["fluentbit_filter_emit_records_total"]; n != 8 {
			t.Errorf("%d emitted records are counted, want 8", n)
		}
		// A stream that nothing came for is forgotten.
		time.Sleep(3 * idleTime)
		synctest.Wait()
		if n := len(r.f.(*Lines).streams.byID); n != 0 {
			t.Errorf("%d streams are left long after their last records", n)
		}
	})
}

func TestStreamsAreKeptApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLinesRig(t)
		r.pass("a", "t", nil, line(1, thrown))
		time.Sleep(time.Millisecond)
		r.pass("b", "t", nil, line(2, thrown))
		time.Sleep(time.Millisecond)
		r.pass("a", "u", nil, line(3, thrown))
		r.pass("b", "t", nil, line(4, at2))
		r.pass("a", "u", nil, line(5, at1), line(6, at2))
		r.pass("a", "t", nil, line(7, at1))
		time.Sleep(3 * time.Second)
		r.expect("joined", r.emitted(),
			"t 0 "+joined(1, thrown, at1), "t 0 "+joined(2, thrown, at2), "u 0 "+joined(3, thrown, at1, at2))
	})
}

func TestMetadataTimeAndFieldsOfTheFirstLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLinesRig(t)
		plugintest.Filtered(t, r.f, "t",
			plugintest.Event{Time: 7, Meta: `{"m":1}`, Record: `{"z":1,"log":"` + thrown + `","a":{"b":[1]}}`},
			plugintest.Event{Time: 8, Meta: `{"m":1}`, Record: `{"log":"` + at1 + `","q":2}`})
		time.Sleep(3 * time.Second)
		want := plugintest.Event{Tag: "t", Time: 7, Meta: `{"m":1}`, Record: `{"z":1,"log":"` + thrown + `\n` + at1 + `","a":{"b":[1]}}`}
		if got := r.em.Events(); len(got) != 1 || got[0] != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestWithoutTheBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLinesRig(t, "buffer", "off", "flush_ms", "100")
		ack, done := acked()
		r.expect("one batch", r.pass("s", "t", ack, line(0, "a"), line(1, thrown), line(2, at1), line(3, "b"), `{"x":1}`, line(4, thrown)),
			"0 "+line(0, "a"), "1 "+joined(1, thrown, at1), "3 "+line(3, "b"), `4 {"x":1}`, "5 "+line(4, thrown))
		if !done.Load() {
			t.Error("the batch is not acknowledged although nothing is held")
		}
		// As in Fluent Bit, what continues is joined, but not with what has gone on.
		r.expect("another", r.pass("s", "t", nil, line(5, at1), line(6, at2), line(7, "c")), "0 "+joined(5, at1, at2), "2 "+line(7, "c"))
		r.expect("another tag", r.pass("s", "u", nil, line(5, at1), line(6, at2)), "0 "+line(5, at1), "1 "+line(6, at2))
		time.Sleep(time.Minute)
		r.expect("emitted", r.emitted())
	})
}

func TestNoLineIsAcknowledgedBeforeItsRecordIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLinesRig(t)
		check := func(when string, want []bool, done ...func() bool) {
			t.Helper()
			var got []bool
			for _, d := range done {
				got = append(got, d())
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: acknowledged is %v, want %v", when, got, want)
			}
		}
		a1, d1 := acked()
		a2, d2 := acked()
		a3, d3 := acked()
		a4, d4 := acked()
		all := []func() bool{d1.Load, d2.Load, d3.Load, d4.Load}
		release := r.em.HoldAcks()
		r.pass("s", "t", a1, line(0, "a"), line(1, thrown)) // a is on its way, the other held
		r.pass("s", "t", a2, line(2, at1))                  // held
		check("held", []bool{false, false, false, false}, all...)
		release()
		check("one record delivered, the other held", []bool{false, false, false, false}, all...)
		release = r.em.HoldAcks()
		r.pass("s", "t", a3, line(3, "b"), line(4, thrown)) // the first trace is on its way, a second one held
		check("the trace on its way", []bool{false, false, false, false}, all...)
		release()
		check("the trace delivered", []bool{true, true, false, false}, all...)
		r.pass("s", "u", a4, line(5, "c"))
		check("another tag", []bool{true, true, false, true}, all...)
		release = r.em.HoldAcks()
		time.Sleep(3 * time.Second)
		check("due, on its way", []bool{true, true, false, true}, all...)
		release()
		check("everything delivered", []bool{true, true, true, true}, all...)
	})
}

func TestWhatTheEmitterRefusesIsNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLinesRig(t)
		defer r.em.Block()()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		ack, done := acked()
		b := event.NewBatch("t")
		b.Ack = ack
		b.Add(0).SetRecord(plugintest.Value(t, line(0, "a")))
		if err := r.f.Filter(ctx, b); err != nil {
			t.Error(err)
		}
		b.Free()
		if done.Load() {
			t.Error("a record is acknowledged that was refused")
		}
		if n := plugintest.Dropped(r.env, "shutdown"); n != 1 {
			t.Errorf("%d records are counted as dropped, want 1", n)
		}
		if !strings.Contains(r.log.String(), "unless their source sends them again") {
			t.Error("nothing tells of records that were refused")
		}
	})
}

func TestHeldLinesAreEmittedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLinesRig(t)
		r.pass("s", "t", nil, line(1, thrown), line(2, at1))
		r.pass("s", "u", nil, line(3, thrown))
		if err := r.end(); err != nil {
			t.Error(err)
		}
		got := r.emitted()
		slices.Sort(got)
		r.expect("at the end", got, "t 0 "+joined(1, thrown, at1), "u 0 "+line(3, thrown))
		r.pass("s", "t", nil, line(4, thrown), line(5, at1))
		r.expect("after it", r.emitted()[2:], "t 0 "+joined(4, thrown, at1))
	})
}

func TestStreamsAreBoundedInNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLinesRig(t)
		f := r.f.(*Lines)
		const most, n = 500, 600
		f.streams.most = most
		for i := range n {
			r.pass("s", fmt.Sprint("t", i), nil, line(i, thrown))
			time.Sleep(time.Microsecond)
		}
		synctest.Wait()
		if len(f.streams.byID) != most || len(f.streams.order) != most {
			t.Errorf("there are %d and %d streams, want %d", len(f.streams.byID), len(f.streams.order), most)
		}
		want := []string{}
		for i := range n - most {
			want = append(want, fmt.Sprintf("t%d 0 %s", i, line(i, thrown)))
		}
		r.expect("the oldest went on", r.emitted(), want...)
		if n := plugintest.Counters(r.env)["kagari_filter_incomplete_messages_total{reason=memory}"]; n != 100 {
			t.Errorf("%d incomplete messages are counted, want 100", n)
		}
		// Streams that hold nothing are the first to go.
		time.Sleep(3 * time.Second)
		r.pass("s", "t300", nil, line(0, thrown))
		for i := range most {
			r.pass("s", fmt.Sprint("new", i), nil, line(0, "a"))
		}
		r.pass("s", "t300", nil, line(1, at1))
		r.end()
		if got := r.emitted(); !slices.Contains(got, "t300 0 "+joined(0, thrown, at1)) {
			t.Error("a stream with a held line was forgotten rather than one without")
		}
		if f.streams.size != 0 || len(f.streams.byID) != 0 {
			t.Errorf("%d streams of %d bytes are left at the end", len(f.streams.byID), f.streams.size)
		}
	})
}

func TestTheMemoryOfStreamsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLinesRig(t, "emitter_mem_buf_limit", "1M")
		f := r.f.(*Lines)
		text := "    at " + strings.Repeat("x", 100_000) + "(X.java:1)"
		for i := range 50 {
			r.pass("s", fmt.Sprint(i), nil, line(1, thrown), line(2, text))
			if f.streams.size > 1_000_000 {
				t.Fatalf("%d bytes are held, more than the limit", f.streams.size)
			}
		}
		if n := len(r.emitted()); n < 30 || n > 48 {
			t.Errorf("%d of 50 records went on early, want about 45", n)
		}
		if !strings.Contains(r.log.String(), "too much is held") {
			t.Error("nothing tells that records were cut")
		}
	})
}

func TestTheLimitOfARecord(t *testing.T) {
	env, log := plugintest.LoggedEnv(t)
	em := &plugintest.Emitter{}
	env.Emitter = func(string) plugin.Emitter { return em }
	env.Service.MultilineBufferLimit = 50
	f := plugintest.NewFilter(t, Def(), env, "multiline.parser", "java", "multiline.key_content", "log")
	plugintest.Filtered(t, f, "t", plugintest.Event{Record: line(1, thrown)}, plugintest.Event{Record: line(2, at1)})
	got := em.Events()
	if len(got) != 1 || got[0].Record != line(1, thrown+"\n"+at1[:10]) || got[0].Meta != `{"multiline_truncated":true}` {
		t.Errorf("got %+v, want the first 50 bytes and the mark", got)
	}
	if plugintest.Counters(env)["fluentbit_filter_emit_truncated_total"] != 1 || !strings.Contains(log.String(), "is cut") {
		t.Error("the cut is not counted or not told")
	}
}

// again is an emitter that passes what it gets through filters as the engine
// does, and records what is left.
type again struct {
	plugintest.Emitter
	name    string
	filters []plugin.Filter
}

func (a *again) Emit(ctx context.Context, b *event.Batch) error {
	b.Source = a.name
	for _, f := range a.filters {
		if err := f.Filter(ctx, b); err != nil {
			return err
		}
	}
	return a.Emitter.Emit(ctx, b)
}

func TestFiltersDoNotHandRecordsToEachOtherForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var emitters []*again
		var filters []plugin.Filter
		for i := range 3 {
			env := plugintest.Env(t)
			em := &again{name: fmt.Sprint("emitter", i)}
			env.Emitter = func(string) plugin.Emitter { return em }
			emitters = append(emitters, em)
			filters = append(filters, plugintest.NewFilter(t, Def(), env, "multiline.parser", "java", "multiline.key_content", "log"))
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		for i, f := range filters {
			emitters[i].filters = filters
			go func() { ended <- f.(plugin.Runner).Run(ctx, nil) }()
		}
		for range 5 {
			b := event.NewBatch("t")
			for i, text := range []string{"a", thrown, at1} {
				b.Add(base).SetRecord(plugintest.Value(t, line(i, text)))
			}
			for _, f := range filters {
				if err := f.Filter(t.Context(), b); err != nil {
					t.Fatal(err)
				}
			}
			if len(b.Events) != 0 {
				t.Errorf("%d events are left", len(b.Events))
			}
			b.Free()
			time.Sleep(300 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		cancel()
		for range filters {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		var got []string
		for _, em := range emitters {
			got = append(got, em.Records()...)
		}
		var want []string
		for range 5 {
			want = append(want, line(0, "a"), joined(1, thrown, at1))
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestDebugFlushPrints(t *testing.T) {
	r := newLinesRig(t, "buffer", "off")
	var text bytes.Buffer
	r.f.(*Lines).debug = &text
	r.pass("s", "t", nil, line(0, "a"))
	want := "\n----- MULTILINE FLUSH (tag=t) -----\n[1000.000000000, {\"log\"=>\"a\", \"i\"=>0}]\n----------- EOF -----------\n"
	if text.String() != want {
		t.Errorf("printed %q, want %q", text.String(), want)
	}
}

func TestRefusedOptionsOfTheModeParser(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		_, err := plugintest.TryFilter(Def(), plugintest.Env(t), keysAndValues...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, want %q in it", keysAndValues, err, want)
		}
	}
	f("at least one multiline.parser")
	f("nothere", "multiline.parser", "nothere")
	f("flush_ms 499 is too short", "multiline.parser", "java", "flush_ms", "499")
	f("flush_ms 0 is too short", "multiline.parser", "java", "flush_ms", "0")
}

func TestRepeatedLinesAreToldOf(t *testing.T) {
	f := func(parser string, want bool) {
		t.Helper()
		env, log := plugintest.LoggedEnv(t)
		plugintest.NewFilter(t, Def(), env, "multiline.parser", parser)
		if got := strings.Contains(log.String(), "once more"); got != want {
			t.Errorf("of the parser %s a warning is logged: %v, want %v", parser, got, want)
		}
	}
	f("python", true)
	f("java", true) // after "nested exception is:"
	f("docker", false)
}

func TestARecordThatGrowsIsNotCutInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLinesRig(t, "flush_ms", "1000")
		r.pass("s", "t", nil, line(0, thrown))
		for i := range 4 {
			time.Sleep(240 * time.Millisecond)
			r.pass("s", "t", nil, line(i, at1))
		}
		time.Sleep(239 * time.Millisecond) // 1199 ms after the first line
		r.pass("s", "t", nil, line(5, at2))
		time.Sleep(249 * time.Millisecond)
		r.expect("while lines are coming", r.emitted())
		time.Sleep(2 * time.Millisecond)
		r.expect("a quarter after the last", r.emitted(), "t 0 "+joined(0, thrown, at1, at1, at1, at1, at2))

		r.pass("s", "t", nil, line(0, thrown))
		n := 0
		for ; len(r.emitted()) == 1; n++ {
			time.Sleep(100 * time.Millisecond)
			r.pass("s", "t", nil, line(n, at1))
			synctest.Wait()
		}
		if n < 19 || n > 21 {
			t.Errorf("a record that grows all the time was emitted after %d00 ms, want twice flush_ms", n)
		}
	})
}

// Whoever comes from another filter, whose stream is locked, waits for no stream
// here to get rid of it.
func TestNobodyWaitsForAStreamWithAnotherLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLinesRig(t)
		f := r.f.(*Lines)
		r.pass("s", "t", nil, line(1, thrown))
		busy := f.streams.any()
		f.streams.most = 0
		busy.mu.Lock()
		f.relieve(t.Context(), &origin{filter: &Lines{}})
		if busy.gone {
			t.Error("a stream was taken that somebody has locked")
		}
		busy.mu.Unlock()
		f.relieve(t.Context(), nil)
		if !busy.gone {
			t.Error("the stream is still there")
		}
		f.streams.most = maxStreams
	})
}
