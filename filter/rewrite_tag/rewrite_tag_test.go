package rewrite_tag

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "rule", "$a ^x new false") }

// rewritten passes records under the tag one.two.three through a filter with the
// rules and returns "tag record" of what is emitted and then of what is left.
func rewritten(t *testing.T, records []string, rules ...string) (emitted, left []string) {
	t.Helper()
	em := &plugintest.Emitter{}
	f, _ := withEmitter(t, em, rules...)
	var events []plugintest.Event
	for i, r := range records {
		events = append(events, plugintest.Event{Time: plugintest.At + int64(i), Record: r})
	}
	for _, e := range plugintest.Filtered(t, f, "one.two.three", events...) {
		left = append(left, e.Tag+" "+e.Record)
	}
	for _, e := range em.Events() {
		emitted = append(emitted, e.Tag+" "+e.Record)
	}
	return emitted, left
}

func withEmitter(t testing.TB, em plugin.Emitter, rules ...string) (plugin.Filter, *plugin.Env) {
	t.Helper()
	env := plugintest.Env(t)
	env.Emitter = func(string) plugin.Emitter { return em }
	var kv []string
	for _, r := range rules {
		kv = append(kv, "Rule", r)
	}
	return plugintest.NewFilter(t, Def(), env, kv...), env
}

func TestNewTag(t *testing.T) {
	f := func(record, rule, tag string) {
		t.Helper()
		emitted, left := rewritten(t, []string{record}, rule)
		want := []string{tag + " " + record}
		if tag == "" {
			if len(emitted) != 0 || len(left) != 1 {
				t.Errorf("with rule %s the record %s became %q, expected that it stays", rule, record, emitted)
			}
		} else if !slices.Equal(emitted, want) || len(left) != 0 {
			t.Errorf("with rule %s: emitted %q and left %q, expected %q and none", rule, emitted, left, want)
		}
	}
	const rec = `{"a":"xyz","n":5,"m":{"k":"v"},"list":["p"],"t":true,"e":""}`
	f(rec, `$a ^x new false`, "new")
	f(rec, `a ^x new false`, "new")
	f(rec, `$a ^y new false`, "")
	f(rec, `$missing .* new false`, "")
	f(rec, `$n 5 new false`, "") // only text matches
	f(rec, `$t true new false`, "")
	f(rec, `$m .* new false`, "")
	f(rec, `$TAG .* new false`, "") // no key of the record
	f(rec, `$e ^$ new false`, "new")
	f(rec, `$m['k'] v new false`, "new")
	f(rec, `$list[0] ^(p)$ q.$1.$m.$n.$list false`, `q.p.{"k":"v"}.5.`)
	f(rec, `$a ^x q.$missing.z false`, "q..z")
	f(rec, `$a ^(x)(y) q.$0.$1.$2.$3 false`, "q.xy.x.y.")
	f(rec, `$a ^x q.$0.$1.end false`, "q...end") // no groups, no captures
	f(rec, `$a ^(?<l>x)(y)(?<r>z) q.$0.$1.$2.$3 false`, "q.xyz.x.z.")
	f(rec, `$a /^(X)(q)?/i q.$1.$2.end false`, "q.x..end")
	f(rec, `$a ^x $TAG[2].$TAG[0].x$TAG[5]y false`, "three.one.xy")
	f(rec, `$a ^x pre.$TAG.post no`, "pre.one.two.three.post")
	f(rec, `$a "^(x) ?" "q r" off`, "q r")
	f(rec, `$a ^x $missing false`, "") // lost in Fluent Bit
}

func TestTheFirstRuleThatMatchesCounts(t *testing.T) {
	records := []string{`{"a":"x","n":1}`, `{"a":"y","n":2}`, `{"a":"z","n":3}`, `{"a":"xy","n":4}`}
	emitted, left := rewritten(t, records, "$a x one true", "$a y two false", "$a y three true")
	if got, want := fmt.Sprint(emitted), `[one {"a":"x","n":1} one {"a":"xy","n":4} two {"a":"y","n":2}]`; got != want {
		t.Errorf("emitted %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(left), `[one.two.three {"a":"x","n":1} one.two.three {"a":"z","n":3} one.two.three {"a":"xy","n":4}]`; got != want {
		t.Errorf("left %s, want %s", got, want)
	}
}

func TestTimeAndMetadataGoAlong(t *testing.T) {
	em := &plugintest.Emitter{}
	f, _ := withEmitter(t, em, "$a x new false")
	plugintest.Filtered(t, f, "t", plugintest.Event{Time: 42, Meta: `{"m":1}`, Record: `{"a":"x"}`})
	if got := em.Events(); len(got) != 1 || got[0].Time != 42 || got[0].Meta != `{"m":1}` {
		t.Errorf("emitted %+v, want the time 42 and the metadata", got)
	}
}

func TestEventsOfOneTagAreEmittedTogetherAndInOrder(t *testing.T) {
	em := &plugintest.Emitter{}
	f, env := withEmitter(t, em, "$k (.+) new.$1 false")
	const n, tags = 1000, 3 * maxGroups
	b := event.NewBatch("t")
	for i := range n {
		b.Add(int64(i)).Append(b.String("k"), b.String(fmt.Sprint(i%tags)))
	}
	if err := f.Filter(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if len(b.Events) != 0 {
		t.Errorf("%d events are left of %d that match", len(b.Events), n)
	}
	b.Free()
	last := map[string]int64{}
	for _, e := range em.Events() {
		if before, ok := last[e.Tag]; ok && e.Time != before+tags {
			t.Fatalf("after event %d of tag %s came %d, want %d", before, e.Tag, e.Time, before+tags)
		}
		last[e.Tag] = e.Time
	}
	if len(last) != tags || len(em.Events()) != n {
		t.Errorf("%d events of %d tags were emitted, want %d of %d", len(em.Events()), len(last), n, tags)
	}
	if got := plugintest.Counters(env)["fluentbit_filter_emit_records_total"]; got != n {
		t.Errorf("%d emitted records are counted, want %d", got, n)
	}

	em = &plugintest.Emitter{}
	f, _ = withEmitter(t, em, "$k ^(.) new.$1 true")
	b = event.NewBatch("t")
	for i := range 500 {
		b.Add(int64(i)).Append(b.String("k"), b.String(string(rune('a'+i%2))))
	}
	if err := f.Filter(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if em.Batches() != 2 || len(b.Events) != 500 {
		t.Errorf("two new tags made %d batches, and %d events of 500 are left where all are kept", em.Batches(), len(b.Events))
	}
	b.Free()
}

func TestTheAckWaitsForEveryNewTag(t *testing.T) {
	em := &plugintest.Emitter{}
	f, _ := withEmitter(t, em, "$k (.+) new.$1 false")
	release := em.HoldAcks()
	b := event.NewBatch("t")
	var acked atomic.Bool
	b.Ack = event.NewAck(func() { acked.Store(true) })
	for i := range 3 {
		b.Add(int64(i)).Append(b.String("k"), b.String(fmt.Sprint(i)))
	}
	if err := f.Filter(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	b.Free()
	if acked.Load() {
		t.Error("the source was told that its events are delivered while the emitted ones are not")
	}
	release()
	if !acked.Load() {
		t.Error("the source was not told that its events are delivered")
	}
}

// refusing takes the first few batches only.
type refusing struct {
	plugintest.Emitter
	takes int
}

var errFull = errors.New("no room")

func (r *refusing) Emit(ctx context.Context, b *event.Batch) error {
	if r.takes--; r.takes < 0 {
		b.Ack = nil
		b.Free()
		return errFull
	}
	return r.Emitter.Emit(ctx, b)
}

func TestWhatTheEmitterRefusesStaysAndIsNotAcknowledged(t *testing.T) {
	em := &refusing{takes: 1}
	f, env := withEmitter(t, em, "$k ^(.) new.$1 false")
	b := event.NewBatch("t")
	var acked atomic.Bool
	b.Ack = event.NewAck(func() { acked.Store(true) })
	for i, k := range []string{"a", "b", "c", "a", "#"} {
		b.Add(int64(i)).Append(b.String("k"), b.String(k))
	}
	if err := f.Filter(t.Context(), b); !errors.Is(err, errFull) || !strings.Contains(err.Error(), `"new.b"`) {
		t.Errorf("the error is %v, want that of the emitter with the tag", err)
	}
	var left []int64
	for i := range b.Events {
		left = append(left, b.Events[i].Time)
	}
	// "a" and "#" make tags that were emitted or not: only the first tag was taken.
	if want := []int64{1, 2, 4}; !slices.Equal(left, want) {
		t.Errorf("events %v are left, want %v", left, want)
	}
	b.Free()
	if acked.Load() {
		t.Error("the source was told that events are delivered which were refused")
	}
	if got := plugintest.Counters(env)["fluentbit_filter_emit_records_total"]; got != 2 {
		t.Errorf("%d emitted records are counted, want 2", got)
	}
	em.takes = 1 << 30
	b = event.NewBatch("t")
	b.Add(0).Append(b.String("k"), b.String("d"))
	if err := f.Filter(t.Context(), b); err != nil || len(b.Events) != 0 {
		t.Errorf("after a refusal the filter does not work on: %v, %d events left", err, len(b.Events))
	}
	b.Free()
}

// router passes what filters emit to the same filters, as the engine does.
type router struct {
	filters []plugin.Filter
	sink    plugintest.Emitter
}

func (r *router) Emit(ctx context.Context, b *event.Batch) error {
	for _, f := range r.filters {
		if err := f.Filter(ctx, b); err != nil {
			return err
		}
	}
	if len(b.Events) == 0 {
		b.Free()
		return nil
	}
	return r.sink.Emit(ctx, b)
}

// routed passes one record with the tag t through filters of one rule each that
// see all tags, and returns the tags that arrive.
func routed(t *testing.T, rules ...string) (tags []string, log *plugintest.Log, counters map[string]uint64) {
	t.Helper()
	r := &router{}
	env, log := plugintest.LoggedEnv(t)
	env.Emitter = func(string) plugin.Emitter { return r }
	for _, rule := range rules {
		r.filters = append(r.filters, plugintest.NewFilter(t, Def(), env, "Rule", rule))
	}
	b := event.NewBatch("t")
	b.Add(0).Append(b.String("a"), b.String("x"))
	if err := r.Emit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for _, e := range r.sink.Events() {
		tags = append(tags, e.Tag)
	}
	return tags, log, plugintest.Counters(env)
}

func TestAFilterDoesNotMoveItsOwnResultAgain(t *testing.T) {
	tags, log, _ := routed(t, "$a x $TAG.x false")
	if want := []string{"t.x"}; !slices.Equal(tags, want) {
		t.Errorf("the record arrived as %q, want %q", tags, want)
	}
	if !strings.Contains(log.String(), "matches records that it moved itself") {
		t.Error("the log does not tell of it")
	}
	tags, _, _ = routed(t, "$a x $TAG.x true")
	if want := []string{"t.x", "t"}; !slices.Equal(tags, want) {
		t.Errorf("the kept record arrived as %q, want %q", tags, want)
	}
	if _, log, _ = routed(t, "$b x new false"); strings.Contains(log.String(), "itself") {
		t.Error("the log tells of records that no rule matches")
	}
}

func TestFiltersThatMoveRecordsToAndFroEnd(t *testing.T) {
	tags, log, counters := routed(t, "$a x $TAG.1 false", "$a x $TAG.2 false")
	if want := []string{"t.1.2.1.2"}; !slices.Equal(tags, want) {
		t.Errorf("the record arrived as %q, want %q", tags, want)
	}
	if !strings.Contains(log.String(), "go round in circles") || counters[`kagari_filter_unchanged_records_total{reason=circle}`] != 1 {
		t.Errorf("the log or the counters do not tell of it: %v", counters)
	}
	tags, _, _ = routed(t, "$a x $TAG.1 true", "$a x $TAG.2 true", "$a x $TAG.3 true")
	if len(tags) > 1000 {
		t.Errorf("three filters made %d records of one", len(tags))
	}
}

func TestAnEmptyNewTagIsTold(t *testing.T) {
	f, env := withEmitter(t, &plugintest.Emitter{}, "$a x $missing false")
	plugintest.Filtered(t, f, "t", plugintest.Event{Record: `{"a":"x"}`})
	if got := plugintest.Counters(env)[`kagari_filter_unchanged_records_total{reason=empty_tag}`]; got != 1 {
		t.Errorf("%d records are counted, want 1", got)
	}
}

func TestALongTagIsCut(t *testing.T) {
	em := &plugintest.Emitter{}
	f, _ := withEmitter(t, em, "$a x $a false")
	plugintest.Filtered(t, f, "t", plugintest.Event{Record: `{"a":"` + strings.Repeat("x", 100_000) + `"}`})
	if got := em.Events(); len(got) != 1 || len(got[0].Tag) != maxTag {
		t.Errorf("%d events were emitted, want one with a tag of %d bytes", len(got), maxTag)
	}
}
