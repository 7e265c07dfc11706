package log_to_metrics

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/metrictext"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

var minimal = []string{"tag", "m", "metric_name", "n", "metric_description", "desc"}

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), minimal...) }

// make makes a filter that emits to em.
func newFilter(t testing.TB, env *plugin.Env, em plugin.Emitter, keysAndValues ...string) *Filter {
	t.Helper()
	env.Emitter = func(string) plugin.Emitter { return em }
	return plugintest.NewFilter(t, Def(), env, append(minimal, keysAndValues...)...).(*Filter)
}

var timestamp = regexp.MustCompile(`(?m)^20\S+Z log_metric_`)

// text returns emitted metrics as stdout shows them, without times and the first
// part of the name.
func text(t testing.TB, payloads ...[]byte) string {
	t.Helper()
	var out []byte
	for _, p := range payloads {
		var err error
		if out, err = metrictext.Append(out, p); err != nil {
			t.Fatal(err)
		}
	}
	return timestamp.ReplaceAllString(string(out), "")
}

var records = []string{
	`{"m":"GET","d":1,"f":0.3,"s":"2.5ms","neg":-3,"b":true,"n":null,"o":{"x":"y"},"arr":[1],` +
		`"kubernetes":{"namespace_name":"ns","pod_name":"p1","container_name":"c","docker_id":"di","pod_id":"pi"}}`,
	`{"m":"POST","d":7,"f":1.5,"s":"abc","color":"re\"d\\x"}`,
	`{"m":"GET","d":"12","color":"red"}`,
	`{"x":1}`,
}

// metrics returns what becomes of the records, as one batch, and of the logs.
func metrics(t *testing.T, keysAndValues ...string) (shown string, logs int) {
	t.Helper()
	var em plugintest.Emitter
	filter := newFilter(t, plugintest.Env(t), &em, keysAndValues...)
	var events []plugintest.Event
	for _, r := range records {
		events = append(events, plugintest.Event{Record: r})
	}
	logs = len(plugintest.Filtered(t, filter, "in", events...))
	return text(t, em.Payloads()...), logs
}

// The results here were observed on Fluent Bit 5.1.1, each record in order, with
// the metric after each.
func TestWhatIsEmittedAfterEachRecord(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		got, logs := metrics(t, keysAndValues...)
		if got != want {
			t.Errorf("with %q the metrics are\n%sexpected\n%s", keysAndValues, got, want)
		}
		if logs != len(records) {
			t.Errorf("%d of %d records are left", logs, len(records))
		}
	}
	f("counter_n = 1\ncounter_n = 2\ncounter_n = 3\ncounter_n = 4\n")
	const first, second, third = `counter_n{m="GET",color="",ox="y"} = 1` + "\n", `counter_n{m="POST",color="re"d\x",ox=""} = 1` + "\n",
		`counter_n{m="GET",color="red",ox=""} = 1` + "\n"
	f(first+first+second+first+second+third+first+second+third+`counter_n{m="",color="",ox=""} = 1`+"\n",
		"label_field", "m", "label_field", "color", "add_label", "ox $o['x']")
	f(`gauge_n{m="GET"} = 1
gauge_n{m="GET"} = 1
gauge_n{m="POST"} = 7
gauge_n{m="GET"} = 12
gauge_n{m="POST"} = 7
gauge_n{m="GET"} = 12
gauge_n{m="POST"} = 7
`, "metric_mode", "gauge", "value_field", "d", "label_field", "m")
	f("gauge_n = 2.5\ngauge_n = 2.5\ngauge_n = 2.5\ngauge_n = 2.5\n", "metric_mode", "gauge", "value_field", "s")
	f(`Histogram_n = { buckets = { 0.5=0, 5=1, 100=1, +Inf=1 }, sum=1, count=1 }
Histogram_n = { buckets = { 0.5=0, 5=1, 100=2, +Inf=2 }, sum=8, count=2 }
Histogram_n = { buckets = { 0.5=0, 5=1, 100=3, +Inf=3 }, sum=20, count=3 }
Histogram_n = { buckets = { 0.5=0, 5=1, 100=3, +Inf=3 }, sum=20, count=3 }
`, "metric_mode", "Histogram", "value_field", "$d", "bucket", "5", "bucket", "0.5", "bucket", "100")
	const get = `histogram_n{m="GET"} = { buckets = { 0.005=0, 0.01=0, 0.025=0, 0.05=0, 0.1=0, 0.25=0, 0.5=1, 1=1, 2.5=1, 5=1, 10=1, +Inf=1 }, sum=0.3, count=1 }` + "\n"
	const post = `histogram_n{m="POST"} = { buckets = { 0.005=0, 0.01=0, 0.025=0, 0.05=0, 0.1=0, 0.25=0, 0.5=0, 1=0, 2.5=1, 5=1, 10=1, +Inf=1 }, sum=1.5, count=1 }` + "\n"
	f(get+strings.Repeat(get+post, 3), "metric_mode", "histogram", "value_field", "f", "label_field", "m")
}

func TestTheLabelsOfTypes(t *testing.T) {
	got, _ := metrics(t, "kubernetes_mode", "on", "label_field", "d", "label_field", "f", "label_field", "neg",
		"label_field", "b", "label_field", "n", "label_field", "arr", "label_field", "o")
	got, _, _ = strings.Cut(got, "\n")
	const want = `counter_n{namespace_name="ns",pod_name="p1",container_name="c",docker_id="di",pod_id="pi",` +
		`d="1",f="0.300000",neg="-3",b="",n="",arr="",o=""} = 1`
	if got != want {
		t.Errorf("the series is\n%s, expected\n%s", got, want)
	}
}

func TestRulesAndDiscardedLogs(t *testing.T) {
	f := func(want, wantLogs int, keysAndValues ...string) {
		t.Helper()
		got, logs := metrics(t, keysAndValues...)
		if n := strings.Count(got, "\n"); n != want || logs != wantLogs {
			t.Errorf("with %q %d records count and %d are left, expected %d and %d", keysAndValues, n, logs, want, wantLogs)
		}
	}
	f(2, 0, "regex", "m ^GET$", "exclude", "color red", "discard_logs", "on")
	f(1, 4, "exclude", "color red", "regex", "$m ^GET$")
	f(1, 4, "regex", "d .")
	f(0, 4, "regex", "x .")
	f(1, 4, "regex", "$o['x'] y")
}

func TestTheNameOfTheMetric(t *testing.T) {
	for want, parts := range map[string][3]string{
		"log_metric_counter_a": {"log_metric", "counter", "a"}, "sub_a": {"", "sub", "a"}, "ns_sub_a": {"ns", "sub_", "a"},
	} {
		if got := fullName(parts[0], parts[1], parts[2]); got != want {
			t.Errorf("%q make %s, expected %s", parts, got, want)
		}
	}
}

// pass gives a filter a batch of records.
func pass(t *testing.T, f plugin.Filter, records ...string) {
	t.Helper()
	var events []plugintest.Event
	for _, r := range records {
		events = append(events, plugintest.Event{Record: r})
	}
	plugintest.Filtered(t, f, "in", events...)
}

func TestALargeBatchEmitsOnce(t *testing.T) {
	var em plugintest.Emitter
	filter := newFilter(t, plugintest.Env(t), &em, "label_field", "a")
	large := make([]string, maxPoints+1)
	for i := range large {
		large[i] = `{"a":"x"}`
	}
	pass(t, filter, large...)
	if got, want := text(t, em.Payloads()...), fmt.Sprintf("counter_n{a=\"x\"} = %d\n", len(large)); got != want {
		t.Errorf("the metrics are %s, expected %s", got, want)
	}
}

func TestIntervals(t *testing.T) {
	plugintest.NoLeaks(t)
	synctest.Test(t, func(t *testing.T) {
		var em plugintest.Emitter
		filter := newFilter(t, plugintest.Env(t), &em, "flush_interval_sec", "1", "flush_interval_nsec", "500000000")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- filter.Run(ctx, nil) }()
		expect := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := text(t, em.Payloads()...); got != want {
				t.Errorf("the metrics are\n%sexpected\n%s", got, want)
			}
		}
		pass(t, filter, `{}`, `{}`)
		time.Sleep(1400 * time.Millisecond)
		expect("")
		time.Sleep(200 * time.Millisecond)
		expect("counter_n = 2\n")
		time.Sleep(5 * time.Second) // Nothing new.
		expect("counter_n = 2\n")
		pass(t, filter, `{}`)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		expect("counter_n = 2\ncounter_n = 3\n")
	})
}

// refusing is an emitter of a process that ends.
type refusing struct{ plugintest.Emitter }

func (*refusing) Emit(_ context.Context, b *event.Batch) error {
	b.Free()
	return errors.New("refused")
}

func TestWhatCouldNotBeEmittedIsAtTheEnd(t *testing.T) {
	var em plugintest.Emitter
	filter := newFilter(t, plugintest.Env(t), &em)
	filter.out = &refusing{}
	pass(t, filter, `{}`)
	filter.out = &em
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := filter.Run(ctx, nil); err != nil {
		t.Errorf("Run: %v", err)
	}
	if got := text(t, em.Payloads()...); got != "counter_n = 1\n" {
		t.Errorf("the metrics are %q", got)
	}
}

func TestRecordsThatDoNotCount(t *testing.T) {
	var em plugintest.Emitter
	env := plugintest.Env(t)
	filter := newFilter(t, env, &em, "metric_mode", "gauge", "value_field", "v", "label_field", "l", "max_series", "2")
	pass(t, filter, `{"v":1,"l":"a"}`, `{"v":2,"l":"b"}`, `{"v":3,"l":"c"}`, `{"l":"a"}`, `{"v":true,"l":"a"}`, `{"v":"x1","l":"a"}`)
	all := text(t, em.Payloads()...)
	if want := "gauge_n{l=\"a\"} = 1\ngauge_n{l=\"b\"} = 2\n"; !strings.HasSuffix(all, want) || strings.Contains(all, "c") {
		t.Errorf("the metrics are\n%s", all)
	}
	got := plugintest.Counters(env)
	const name = "kagari_filter_unchanged_records_total"
	if got[name+"{reason=too_many_series}"] != 1 || got[name+"{reason=no_value}"] != 1 || got[name+"{reason=no_number}"] != 2 {
		t.Errorf("the counters are %v", got)
	}
}

func TestLabelsAreCutAndValid(t *testing.T) {
	f := func(value, want string) {
		t.Helper()
		b := event.NewBatch("t")
		defer b.Free()
		e := b.Add(0)
		e.Append(b.String("l"), b.String(value))
		path, err := event.ParseAccessor("l")
		if err != nil {
			t.Fatal(err)
		}
		l := label{key: path}
		if got := string(l.append(nil, e)); got != want {
			t.Errorf("%q becomes %q, expected %q", value, got, want)
		}
	}
	f("text", "text")
	f(strings.Repeat("x", 300), strings.Repeat("x", 251))
	f(strings.Repeat("x", 250)+"é", strings.Repeat("x", 250))
	f(strings.Repeat("x", 249)+"éx", strings.Repeat("x", 249)+"é")
	f("a\xffb", "a\uFFFDb")
}

func TestNumbersOfText(t *testing.T) {
	f := func(s string, want float64, wantOK bool) {
		t.Helper()
		if got, ok := leadingNumber([]byte(s)); got != want || ok != wantOK {
			t.Errorf("%q is %v, %t, expected %v, %t", s, got, ok, want, wantOK)
		}
	}
	f("12", 12, true)
	f(" \t-1.5e2x", -150, true)
	f("2.5ms", 2.5, true)
	f(".5", 0.5, true)
	f("5.", 5, true)
	f("1e", 1, true)
	f("1e+", 1, true)
	f("+3", 3, true)
	f("", 0, false)
	f("-", 0, false)
	f("nancy", 0, false)
	f("infinite", 0, false)
	f(".", 0, false)
}

func TestTheMessage(t *testing.T) {
	var em plugintest.Emitter
	filter := newFilter(t, plugintest.Env(t), &em, "metric_mode", "histogram", "value_field", "v", "bucket", "1", "bucket", "2")
	pass(t, filter, `{"v":1}`, `{"v":1.5}`, `{"v":1.7}`, `{"v":9}`)
	var data metricspb.MetricsData
	payload := em.Payloads()[0]
	if err := proto.Unmarshal(payload, &data); err != nil || len(data.ResourceMetrics) != 4 {
		t.Fatalf("the message has %d parts, error %v", len(data.ResourceMetrics), err)
	}
	m := data.ResourceMetrics[3].ScopeMetrics[0].Metrics[0]
	p := m.GetHistogram().DataPoints[0]
	if fmt.Sprint(p.BucketCounts) != "[1 2 1]" || p.Count != 4 || p.GetSum() != 13.2 || m.Description != "desc" || p.StartTimeUnixNano == 0 {
		t.Errorf("the metric is %v", m)
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		if _, err := plugintest.TryFilter(Def(), plugintest.Env(t), keysAndValues...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, expected one with %q", keysAndValues, err, want)
		}
	}
	with := func(keysAndValues ...string) []string { return append(minimal, keysAndValues...) }
	f(`"tag" is missing`, "metric_description", "d")
	f(`"metric_description" is missing`, "tag", "d")
	f("must not be empty", "tag", "", "metric_description", "d")
	f("counter, gauge, histogram", with("metric_mode", "summary")...)
	f("value_field is needed", with("metric_mode", "gauge")...)
	f("is not a number", with("bucket", "x")...)
	f("not the name of a label", with("add_label", "x")...)
	f("not a key and a regular", with("regex", "x")...)
	f("valid UTF-8", with("label_field", "\xff")...)
	many := minimal
	for range maxLabels + 1 {
		many = append(many, "label_field", "x")
	}
	f("more than 128", many...)
}

func TestNothingIsAllocated(t *testing.T) {
	filter := newFilter(t, plugintest.Env(t), &plugintest.Emitter{}, "label_field", "a", "flush_interval_sec", "1")
	if n := plugintest.AllocsPerEvent(t, filter, `{"a":"x","b":2}`); n > 0.02 {
		t.Errorf("%v allocations per counted event, expected none", n)
	}
	filter = newFilter(t, plugintest.Env(t), &plugintest.Emitter{}, "metric_mode", "histogram", "value_field", "v", "flush_interval_sec", "1")
	if n := plugintest.AllocsPerEvent(t, filter, `{"a":"x","v":"2.5ms"}`); n > 0.02 {
		t.Errorf("%v allocations per observed event, expected none", n)
	}
}

func BenchmarkFilter(b *testing.B) {
	filter := newFilter(b, plugintest.Env(b), &plugintest.Emitter{}, "label_field", "a", "flush_interval_sec", "1")
	plugintest.BenchmarkFilter(b, filter, `{"a":"x","log":"some text of some length"}`)
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"1", "-1.5e300", "1e999", "..", "+.e1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := leadingNumber([]byte(s)); ok && n != n {
			t.Errorf("%q is %v, %t", s, n, ok)
		}
	})
}

func TestSeveralGoroutinesNeverGoBack(t *testing.T) {
	var em plugintest.Emitter
	filter := newFilter(t, plugintest.Env(t), &em)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				plugintest.Filtered(t, filter, "in", plugintest.Event{Record: `{}`}, plugintest.Event{Record: `{}`})
			}
		})
	}
	wg.Wait()
	var want strings.Builder
	for i := range 400 {
		fmt.Fprintf(&want, "counter_n = %d\n", i+1)
	}
	if got := text(t, em.Payloads()...); got != want.String() {
		t.Errorf("the metrics are\n%s", got)
	}
}
