package metrictext

import (
	"testing"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"
)

const at = 1700000000_250000000

func label(name, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}

func gauge(name string, v float64, labels ...*commonpb.KeyValue) *metricspb.Metric {
	return &metricspb.Metric{Name: name, Data: &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{
		DataPoints: []*metricspb.NumberDataPoint{{TimeUnixNano: at, Attributes: labels,
			Value: &metricspb.NumberDataPoint_AsDouble{AsDouble: v}}}}}}
}

func sum(name string, v int64, labels ...*commonpb.KeyValue) *metricspb.Metric {
	return &metricspb.Metric{Name: name, Data: &metricspb.Metric_Sum{Sum: &metricspb.Sum{IsMonotonic: true,
		DataPoints: []*metricspb.NumberDataPoint{{TimeUnixNano: at, Attributes: labels,
			Value: &metricspb.NumberDataPoint_AsInt{AsInt: v}}}}}}
}

func marshal(t *testing.T, metrics ...*metricspb.Metric) []byte {
	t.Helper()
	b, err := proto.Marshal(&metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{
		{ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: metrics}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAppend(t *testing.T) {
	f := func(want string, metrics ...*metricspb.Metric) {
		t.Helper()
		got, err := Append(nil, marshal(t, metrics...))
		if err != nil || string(got) != want {
			t.Errorf("got\n%s(error %v), expected\n%s", got, err, want)
		}
	}
	const ts = "2023-11-14T22:13:20.250000000Z "
	f("")
	f(ts+"fluentbit_uptime{hostname=\"vm\"} = 12\n", sum("fluentbit_uptime", 12, label("hostname", "vm")))
	f(ts+"a{x=\"1\",y=\"\"} = 0.10000000000000001\n", gauge("a", 0.1, label("x", "1"), label("y", "")))
	f(ts+"big = 1e+20\n", gauge("big", 1e20))
	f(ts+"start = 1795172382\n", gauge("start", 1795172382))
	// Counters come first, whatever the order in the message.
	f(ts+"b = 2\n"+ts+"a = 1\n", gauge("a", 1), sum("b", 2))

	total := 7.5
	f(ts+"h = { buckets = { 0.5=1, 10=2, +Inf=3 }, sum=7.5, count=6 }\n",
		&metricspb.Metric{Name: "h", Data: &metricspb.Metric_Histogram{Histogram: &metricspb.Histogram{
			DataPoints: []*metricspb.HistogramDataPoint{{TimeUnixNano: at, Count: 6, Sum: &total,
				ExplicitBounds: []float64{0.5, 10}, BucketCounts: []uint64{1, 2, 3}}}}}})
	f(ts+"s = { quantiles = { 0.5=1, 0.99=2.25 }, sum=7.5, count=6 }\n",
		&metricspb.Metric{Name: "s", Data: &metricspb.Metric_Summary{Summary: &metricspb.Summary{
			DataPoints: []*metricspb.SummaryDataPoint{{TimeUnixNano: at, Count: 6, Sum: total,
				QuantileValues: []*metricspb.SummaryDataPoint_ValueAtQuantile{
					{Quantile: 0.5, Value: 1}, {Quantile: 0.99, Value: 2.25}}}}}}})
	f(ts+"e = { scale=1, zero_count=2, zero_threshold=0, positive={offset=3, bucket_counts=[4, 5]}, "+
		"negative={offset=0, bucket_counts=[]}, count=11, sum=unset }\n",
		&metricspb.Metric{Name: "e", Data: &metricspb.Metric_ExponentialHistogram{ExponentialHistogram: &metricspb.ExponentialHistogram{
			DataPoints: []*metricspb.ExponentialHistogramDataPoint{{TimeUnixNano: at, Count: 11, Scale: 1, ZeroCount: 2,
				Positive: &metricspb.ExponentialHistogramDataPoint_Buckets{Offset: 3, BucketCounts: []uint64{4, 5}}}}}}})
}

func TestBucketsOfOwnMetricsAddUp(t *testing.T) {
	data := &metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{ScopeMetrics: []*metricspb.ScopeMetrics{{
		Scope: &commonpb.InstrumentationScope{Name: OwnScope},
		Metrics: []*metricspb.Metric{{Name: "h", Data: &metricspb.Metric_Histogram{Histogram: &metricspb.Histogram{
			DataPoints: []*metricspb.HistogramDataPoint{{TimeUnixNano: at, Count: 6,
				ExplicitBounds: []float64{0.5, 10}, BucketCounts: []uint64{1, 2, 3}}}}}}},
	}}}}}
	payload, err := proto.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Append(nil, payload)
	const want = "2023-11-14T22:13:20.250000000Z h = { buckets = { 0.5=1, 10=3, +Inf=6 }, sum=0, count=6 }\n"
	if err != nil || string(got) != want {
		t.Errorf("got\n%s(error %v), expected\n%s", got, err, want)
	}
}

func TestConcatenatedMessagesAreAllWritten(t *testing.T) {
	payload := append(marshal(t, sum("a", 1)), marshal(t, sum("b", 2))...)
	got, err := Append(nil, payload)
	want := "2023-11-14T22:13:20.250000000Z a = 1\n2023-11-14T22:13:20.250000000Z b = 2\n"
	if err != nil || string(got) != want {
		t.Errorf("got\n%s(error %v), expected\n%s", got, err, want)
	}
}

func FuzzAppend(f *testing.F) {
	f.Add([]byte{0x0a, 0x02, 0x12, 0x00})
	f.Fuzz(func(t *testing.T, payload []byte) {
		_, _ = Append(nil, payload)
	})
}
