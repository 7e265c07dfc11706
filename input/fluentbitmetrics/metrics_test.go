package fluentbitmetrics

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/kagarilog/kagari/internal/metrictext"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func metrics() []plugin.Metric {
	label := func(v string) []plugin.Label { return []plugin.Label{{Name: "name", Value: v}} }
	return []plugin.Metric{
		{Name: "in_total", Help: "Records.", Labels: label("tail.0"), Value: 12},
		{Name: "in_total", Help: "Records.", Labels: label("tail.1"), Value: 0.5},
		{Name: "up", Help: "Up.", Type: plugin.GaugeMetric, Value: 1},
		{Name: "wait", Help: "Waits.", Type: plugin.HistogramMetric, Labels: label("http.0"), Value: 2.5,
			Buckets: &plugin.Buckets{Bounds: []float64{0.5, 1}, Counts: []uint64{1, 2, 3}}},
	}
}

func TestContract(t *testing.T) {
	plugintest.Input(t, plugintest.InputSuite{
		Def: Def(),
		Env: func(e *plugin.Env) { e.Metrics = metrics },
		Open: func(*testing.T) plugintest.Source {
			return plugintest.Source{Props: []string{"scrape_interval", "10ms"}}
		},
	})
}

// payloads returns what is emitted within so much time.
func payloads(t *testing.T, d time.Duration, keysAndValues ...string) (all [][]byte) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		env := plugintest.Env(t)
		env.Metrics = metrics
		var em plugintest.Emitter
		r := plugintest.Run(t, plugintest.NewInput(t, Def(), env, keysAndValues...), &em)
		time.Sleep(d)
		synctest.Wait()
		if err := r.Stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		all = em.Payloads()
		if n := plugintest.Counters(env)["fluentbit_input_metrics_scrapes_total"]; n != uint64(len(all)) {
			t.Errorf("%d readings were counted, but there were %d", n, len(all))
		}
	})
	return all
}

func TestHowOften(t *testing.T) {
	f := func(want int, keysAndValues ...string) {
		t.Helper()
		if got := len(payloads(t, 12500*time.Millisecond, keysAndValues...)); got != want {
			t.Errorf("with %q there were %d readings in 12.5 s, expected %d", keysAndValues, got, want)
		}
	}
	f(6)
	f(1, "scrape_interval", "10")
	f(2, "scrape_interval", "10", "scrape_on_start", "true")
	f(6, "scrape_interval", "2", "scrape_on_start", "true")
	f(1, "scrape_interval", "60", "scrape_on_start", "true")
}

func TestTheMessage(t *testing.T) {
	all := payloads(t, 2500*time.Millisecond)
	text, err := metrictext.Append(nil, all[0])
	const at = "2000-01-01T00:00:02.000000000Z "
	want := at + "in_total{name=\"tail.0\"} = 12\n" + at + "in_total{name=\"tail.1\"} = 0.5\n" + at + "up = 1\n" +
		at + "wait{name=\"http.0\"} = { buckets = { 0.5=1, 1=3, +Inf=6 }, sum=2.5, count=6 }\n"
	if err != nil || string(text) != want {
		t.Errorf("the message says\n%s(error %v), expected\n%s", text, err, want)
	}
	var data metricspb.MetricsData
	if err := proto.Unmarshal(all[0], &data); err != nil {
		t.Fatal(err)
	}
	ms := data.ResourceMetrics[0].ScopeMetrics[0].Metrics
	if len(ms) != 3 || ms[0].Description != "Records." || !ms[0].GetSum().GetIsMonotonic() ||
		ms[0].GetSum().AggregationTemporality != metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE ||
		ms[1].GetGauge() == nil {
		t.Errorf("the metrics are %v", ms)
	}
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	if got := ms[0].GetSum().DataPoints[0].StartTimeUnixNano; got != uint64(start.UnixNano()) {
		t.Errorf("the counter began at %d", got)
	}
}

func TestAnIntervalOfZeroIsRefused(t *testing.T) {
	_, err := plugintest.TryInput(Def(), plugintest.Env(t), "scrape_interval", "0")
	if err == nil || !strings.Contains(err.Error(), "scrape_interval") {
		t.Errorf("the error is %v", err)
	}
}
