package multiline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDefinition(t *testing.T) {
	plugintest.Definition(t, Def(), "mode", "partial_message", "multiline.key_content", "log")
}

// rig is a filter at work.
type rig struct {
	t   *testing.T
	f   plugin.Filter
	env *plugin.Env
	log *plugintest.Log
	em  *plugintest.Emitter
	end func() error // ends Run
}

// base is the time of the first record of a batch.
const base = 1000e9

// newRig makes a filter and runs it until the end of the test.
func newRig(t *testing.T, keysAndValues ...string) *rig {
	t.Helper()
	r := &rig{t: t, em: &plugintest.Emitter{}}
	r.env, r.log = plugintest.LoggedEnv(t)
	r.env.Emitter = func(string) plugin.Emitter { return r.em }
	r.f = plugintest.NewFilter(t, Def(), r.env, keysAndValues...)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.f.(plugin.Runner).Run(ctx, r.em) }()
	ended := false
	r.end = func() (err error) {
		if cancel(); !ended {
			ended = true
			err = <-done
		}
		return err
	}
	t.Cleanup(func() { _ = r.end() })
	return r
}

func newPartialRig(t *testing.T, more ...string) *rig {
	return newRig(t, append([]string{"mode", "partial_message", "multiline.key_content", "log"}, more...)...)
}

// pass filters records with the tag as one batch from the source and returns
// what is left, with their seconds after base. The ack of the batch may be nil.
func (r *rig) pass(source, tag string, ack *event.Ack, records ...string) []string {
	r.t.Helper()
	b := event.NewBatch(tag)
	b.Source, b.Ack = source, ack
	for i, rec := range records {
		b.Add(base + int64(i)*1e9).SetRecord(b.Bytes(plugintest.Value(r.t, rec)))
	}
	if err := r.f.Filter(r.t.Context(), b); err != nil {
		r.t.Errorf("Filter: %v", err)
	}
	var left []string
	for i := range b.Events {
		e := &b.Events[i]
		left = append(left, fmt.Sprintf("%d %s", (e.Time-base)/1e9, plugintest.JSON(e.Record())))
	}
	b.Free()
	return left
}

// emitted is what the filter has emitted, with tag and seconds after base.
func (r *rig) emitted() []string {
	var out []string
	for _, e := range r.em.Events() {
		out = append(out, fmt.Sprintf("%s %d %s", e.Tag, (e.Time-base)/1e9, e.Record))
	}
	return out
}

func (r *rig) expect(what string, got []string, want ...string) {
	r.t.Helper()
	if !slices.Equal(got, want) {
		r.t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// part makes a part of a message as Docker does.
func part(id string, ordinal int, last bool, text string, more ...string) string {
	return fmt.Sprintf(`{"a":1,"log":%q,"partial_message":"true","partial_id":%q,"partial_ordinal":"%d","partial_last":"%v"%s}`,
		text, id, ordinal, last, strings.Join(more, ""))
}

// The expectations are what Fluent Bit 5.1.1 makes of the same records, sent
// over the forward protocol as one message, with flush_ms 600, as seen in the
// output file; where it differs, the comment says so.
func TestPartsAreJoinedAsInFluentBit(t *testing.T) {
	f := func(name string, records, left, emitted []string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			r := newPartialRig(t, "flush_ms", "600")
			r.expect(name+": at once", r.pass("forward.0", "t", nil, records...), left...)
			time.Sleep(2 * time.Second)
			r.expect(name+": after flush_ms", r.emitted(), emitted...)
		})
	}
	f("in order",
		[]string{part("x", 1, false, "one ", `,"z":9`), part("x", 2, false, "two "), part("x", 3, true, "three")},
		[]string{`0 {"a":1,"z":9,"log":"one two three"}`}, nil)
	f("interleaved",
		[]string{part("x", 1, false, "x1 "), part("y", 1, false, "y1 "), `{"log":"whole"}`, part("x", 2, true, "x2"), part("y", 2, true, "y2")},
		[]string{`2 {"log":"whole"}`, `0 {"a":1,"log":"x1 x2"}`, `1 {"a":1,"log":"y1 y2"}`}, nil)
	f("out of order",
		[]string{part("x", 2, false, "two "), part("x", 1, false, "one "), part("x", 3, true, "three")},
		[]string{`0 {"a":1,"log":"two one three"}`}, nil)
	f("the last one first",
		[]string{part("x", 2, true, "two "), part("x", 1, false, "one ")},
		[]string{`0 {"a":1,"log":"two "}`}, []string{`t 1 {"a":1,"log":"one "}`})
	f("the last one is missing",
		[]string{part("x", 1, false, "one "), part("x", 2, false, "two ")},
		nil, []string{`t 0 {"a":1,"log":"one two "}`})
	f("without the key",
		[]string{`{"x":1,"partial_message":"true","partial_id":"x"}`, part("x", 1, false, "b"), `{"y":2,"partial_message":"true","partial_id":"x","partial_last":"true"}`},
		[]string{`0 {"x":1,"partial_message":"true","partial_id":"x"}`, `2 {"y":2,"partial_message":"true","partial_id":"x","partial_last":"true"}`},
		[]string{`t 1 {"a":1,"log":"b"}`})
	// Fluent Bit takes time and fields of the record that is no text.
	f("no text",
		[]string{`{"log":1,"partial_message":"true","partial_id":"x"}`, part("x", 1, false, "b"), `{"log":3,"partial_message":"true","partial_id":"x"}`},
		[]string{`0 {"log":1,"partial_message":"true","partial_id":"x"}`, `2 {"log":3,"partial_message":"true","partial_id":"x"}`},
		[]string{`t 1 {"a":1,"log":"b"}`})
	f("words for true",
		[]string{`{"log":"a","partial_message":"TRUE","partial_id":"x","partial_last":"True1"}`, `{"log":"b","partial_message":"trueish","partial_id":"x"}`,
			`{"log":"c","partial_message":"yes","partial_id":"x"}`, `{"log":"d","partial_message":"tru","partial_id":"x"}`},
		[]string{`0 {"log":"a"}`, `2 {"log":"c","partial_message":"yes","partial_id":"x"}`, `3 {"log":"d","partial_message":"tru","partial_id":"x"}`},
		[]string{`t 1 {"log":"b"}`})
	f("without an id", []string{`{"log":"a","partial_message":"true"}`}, []string{`0 {"log":"a","partial_message":"true"}`}, nil)
	f("the id is a number",
		[]string{`{"log":"a","partial_message":"true","partial_id":5}`, `{"log":"b","partial_message":"true","partial_id":"q"}`},
		nil, []string{`t 0 {"log":"a"}`, `t 1 {"log":"b"}`})
	// Fluent Bit takes an id for another that begins with it.
	f("similar ids",
		[]string{part("ab", 1, false, "a"), part("a", 1, false, "b")},
		nil, []string{`t 0 {"a":1,"log":"a"}`, `t 1 {"a":1,"log":"b"}`})
	// Fluent Bit crashes of these.
	f("keys that begin like those of Docker",
		[]string{`{"p":1,"par":2,"":3,"partial_x":4,"lo":5,"log":"a","partial_id":"i","partial_message":"true","partial_last":"true"}`},
		[]string{`0 {"p":1,"par":2,"":3,"lo":5,"log":"a"}`}, nil)
	f("booleans",
		[]string{`{"log":"a","partial_message":true,"partial_id":"i","partial_last":false}`, `{"log":"b","partial_message":true,"partial_id":"i","partial_last":true}`},
		[]string{`0 {"log":"ab"}`}, nil)
}

func TestPartsOfSeveralBatchesTagsAndSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPartialRig(t)
		r.expect("held", r.pass("a", "t", nil, part("x", 1, false, "1")))
		r.expect("held", r.pass("b", "t", nil, part("x", 1, false, "one")))
		r.expect("held", r.pass("a", "u", nil, part("x", 1, false, "I")))
		r.expect("joined", r.pass("a", "u", nil, part("x", 2, true, "II")), `0 {"a":1,"log":"III"}`)
		r.expect("joined", r.pass("a", "t", nil, `{}`, part("x", 2, true, "2")), `0 {}`, `0 {"a":1,"log":"12"}`)
		r.expect("joined", r.pass("b", "t", nil, part("x", 2, true, "two")), `0 {"a":1,"log":"onetwo"}`)
		time.Sleep(time.Minute)
		r.expect("emitted", r.emitted())
	})
}

func TestTheMetadataIsThatOfTheFirstPart(t *testing.T) {
	r := newPartialRig(t)
	got := plugintest.Filtered(t, r.f, "t",
		plugintest.Event{Time: 1, Meta: `{"m":1}`, Record: part("x", 1, false, "a")},
		plugintest.Event{Time: 2, Meta: `{"m":2}`, Record: part("x", 2, true, "b")})
	if len(got) != 1 || got[0].Time != 1 || got[0].Meta != `{"m":1}` {
		t.Errorf("joined to %+v, want the time and metadata of the first part", got)
	}
}

func TestAMessageIsEmittedFlushMsAfterItsLatestPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPartialRig(t, "flush_ms", "1000")
		r.pass("s", "x", nil, part("1", 1, false, "a"))
		time.Sleep(900 * time.Millisecond)
		r.pass("s", "y", nil, part("2", 1, false, "b"))
		r.pass("s", "x", nil, part("1", 2, false, "c"))
		time.Sleep(999 * time.Millisecond)
		r.expect("before", r.emitted())
		time.Sleep(2 * time.Millisecond)
		r.expect("after", r.emitted(), `y 0 {"a":1,"log":"b"}`, `x 0 {"a":1,"log":"ac"}`)
		if n := plugintest.Counters(r.env)[`kagari_filter_incomplete_messages_total{reason=timeout}`]; n != 2 {
			t.Errorf("%d messages are counted as incomplete, want 2", n)
		}
		r.pass("s", "x", nil, part("1", 3, true, "d"))
		r.pass("s", "x", nil, part("4", 1, false, "e"))
		time.Sleep(1001 * time.Millisecond)
		r.expect("after a pause", r.emitted()[2:], `x 0 {"a":1,"log":"e"}`)
	})
}

// acked makes an ack and tells whether it was released.
func acked() (*event.Ack, *atomic.Bool) {
	var done atomic.Bool
	return event.NewAck(func() { done.Store(true) }), &done
}

func TestNoPartIsAcknowledgedBeforeTheMessageIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPartialRig(t)
		check := func(when string, done *atomic.Bool, want bool) {
			t.Helper()
			if done.Load() != want {
				t.Errorf("%s: acknowledged is %v, want %v", when, done.Load(), want)
			}
		}
		one, oneDone := acked()
		two, twoDone := acked()
		r.pass("s", "t", one, part("x", 1, false, "a"), `{}`, part("y", 1, false, "A"), part("z", 1, false, "!"), part("z", 2, true, "!"))
		check("parts are held", oneDone, false)

		// The message completes in the batch two, which is on its way yet.
		b := event.NewBatch("t")
		b.Source, b.Ack = "s", two
		b.Add(0).SetRecord(plugintest.Value(t, part("x", 2, true, "b")))
		if err := r.f.Filter(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if len(b.Events) != 1 {
			t.Fatalf("%d events are left, want the joined one", len(b.Events))
		}
		check("joined, on its way", twoDone, false)
		b.Free()
		check("joined and delivered", twoDone, true)
		check("another part is held", oneDone, false)

		release := r.em.HoldAcks()
		time.Sleep(5 * time.Second)
		r.expect("emitted", r.emitted(), `t 2 {"a":1,"log":"A"}`)
		check("emitted, on its way", oneDone, false)
		release()
		check("emitted and delivered", oneDone, true)
	})
}

func TestWhatIsHeldAtTheEndIsEmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPartialRig(t)
		for i := range 3 * maxBatches {
			r.pass("s", fmt.Sprint("t", i), nil, part("x", 1, false, "a"))
		}
		if err := r.end(); err != nil {
			t.Error(err)
		}
		if got := r.emitted(); len(got) != 3*maxBatches {
			t.Errorf("%d messages were emitted at the end, want %d", len(got), 3*maxBatches)
		}
		// Another filter that ends later may still emit parts.
		r.expect("left", r.pass("s", "t", nil, part("y", 1, false, "b")))
		r.expect("emitted", r.emitted()[3*maxBatches:], `t 0 {"a":1,"log":"b"}`)
	})
}

func TestTheEndIsNotHeldUpForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPartialRig(t)
		ack, done := acked()
		r.pass("s", "t", ack, part("x", 1, false, "a"))
		unblock := r.em.Block()
		defer unblock()
		before := time.Now()
		if err := r.end(); err != nil {
			t.Error(err)
		}
		if d := time.Since(before); d != r.env.Service.Grace {
			t.Errorf("the end took %v, want the grace period of %v", d, r.env.Service.Grace)
		}
		if done.Load() {
			t.Error("a part is acknowledged that was not taken")
		}
		if n := plugintest.Dropped(r.env, "shutdown"); n != 1 {
			t.Errorf("%d events are counted as dropped, want 1", n)
		}
	})
}

func TestALongMessageGoesOnInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPartialRig(t)
		r.f.(*Partial).limit = 10
		ack, done := acked()
		got := r.pass("s", "t", ack, part("x", 1, false, "12345"), part("x", 2, false, "67890"))
		r.expect("a piece", got, `0 {"a":1,"log":"1234567890"}`)
		if !done.Load() {
			t.Error("the batch is not acknowledged although all of it went on")
		}
		events := plugintest.Filtered(t, r.f, "t", plugintest.Event{Meta: `{"m":1}`, Record: part("y", 1, false, "0123456789")})
		if len(events) != 1 || events[0].Meta != `{"m":1,"multiline_truncated":true}` {
			t.Errorf("the piece is %+v, want the mark of truncated messages", events)
		}
		r.expect("the rest", r.pass("s", "t", nil, part("x", 3, false, "ab"), part("x", 4, true, "c")), `0 {"a":1,"log":"abc"}`)
		if n := plugintest.Counters(r.env)["fluentbit_filter_emit_truncated_total"]; n != 2 {
			t.Errorf("%d truncated messages are counted, want 2", n)
		}
		if strings.Contains(r.log.String(), "out of order") {
			t.Error("parts are called out of order")
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		r.expect("nothing is left of the pieces", r.emitted())
		if n := len(r.f.(*Partial).messages); n != 0 {
			t.Errorf("%d messages are held", n)
		}
	})
}

func TestTheMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPartialRig(t, "emitter_mem_buf_limit", "100K")
		text := strings.Repeat("x", 4000)
		const n = 300
		for i := range n {
			r.pass("s", "t", nil, part(fmt.Sprint(i), 1, false, text))
			if f := r.f.(*Partial); f.size > f.total {
				t.Fatalf("%d bytes are held, more than the limit of %d", f.size, f.total)
			}
		}
		if got := len(r.emitted()); got < n-30 || got > n-10 {
			t.Errorf("%d of %d messages were handed on early, want about 275", got, n)
		}
		// Parts without text cost as well.
		for range 3000 {
			ack, _ := acked()
			r.pass("s", "t", ack, part("none", 1, false, ""))
		}
		r.expect("the oldest", r.emitted()[:1], fmt.Sprintf(`t 0 {"a":1,"log":%q}`, text))
		if f := r.f.(*Partial); f.size > f.total {
			t.Errorf("%d bytes are held, more than the limit of %d", f.size, f.total)
		}
		r.end()
		if f := r.f.(*Partial); f.size != 0 || len(f.messages) != 0 || f.order.Len() != 0 {
			t.Errorf("%d bytes and %d messages are held at the end", f.size, len(f.messages))
		}
	})
}

func TestDisorderIsTold(t *testing.T) {
	f := func(told bool, parts ...string) {
		t.Helper()
		r := newPartialRig(t)
		r.pass("s", "t", nil, parts...)
		if got := strings.Contains(r.log.String(), "missing or out of order"); got != told {
			t.Errorf("of %q a warning is logged: %v, want %v", parts, got, told)
		}
	}
	f(false, part("x", 1, false, "a"), part("x", 2, true, "b"))
	f(false, `{"log":"a","partial_message":"true","partial_id":"i","partial_last":"true"}`)
	f(true, part("x", 2, true, "b"))
	f(true, part("x", 1, false, "a"), part("x", 3, true, "b"))
	f(true, `{"log":"a","partial_message":"true","partial_id":"i","partial_last":"true","partial_ordinal":"x"}`)
}

func TestRefusedOptions(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		_, err := plugintest.TryFilter(Def(), plugintest.Env(t), keysAndValues...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, want %q in it", keysAndValues, err, want)
		}
	}
	f("not one of parser, partial_message", "mode", "x")
	f("needs multiline.key_content", "mode", "partial_message")
	f("not one of memory, filesystem", "mode", "partial_message", "multiline.key_content", "log", "emitter_storage.type", "x")
}

func TestBufferCannotBeOffForParts(t *testing.T) {
	r := newPartialRig(t, "buffer", "off")
	if !strings.Contains(r.log.String(), "whatever buffer says") {
		t.Error("nothing tells that buffer off has no effect")
	}
}
