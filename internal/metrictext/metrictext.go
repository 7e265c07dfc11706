// Package metrictext writes chunks of metrics in the text form of Fluent Bit's
// outputs stdout and file, which is that of the cmetrics library:
//
//	2023-11-14T22:13:20.250000000Z fluentbit_uptime{hostname="x"} = 12
//
// There is a line for each series, counters first, then gauges, summaries and
// histograms.
//
// The buckets of a histogram are counted each by itself in OTLP. cmetrics shows
// them like that if they came as OTLP, and its own ones as in Prometheus, where a
// bucket counts what is in those before it too. So do we, with the metrics of
// [OwnScope].
package metrictext

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// OwnScope is the name of the instrumentation scope of metrics that the process
// makes itself.
const OwnScope = "kagari"

// Append appends the lines for a marshalled
// opentelemetry.proto.metrics.v1.MetricsData, or several concatenated ones.
func Append(dst, payload []byte) ([]byte, error) {
	var data metricspb.MetricsData
	if err := proto.Unmarshal(payload, &data); err != nil {
		return dst, fmt.Errorf("decode OTLP metrics: %w", err)
	}
	for _, rm := range data.ResourceMetrics {
		for _, pass := range [...]func([]byte, *metricspb.Metric, bool) []byte{
			appendSum, appendGauge, appendSummary, appendHistogram, appendExponential,
		} {
			for _, sm := range rm.ScopeMetrics {
				own := sm.GetScope().GetName() == OwnScope
				for _, m := range sm.Metrics {
					dst = pass(dst, m, own)
				}
			}
		}
	}
	return dst, nil
}

// appendHead appends everything of a line up to the value.
func appendHead(dst []byte, name string, ns uint64, labels []*commonpb.KeyValue) []byte {
	t := time.Unix(int64(ns/1e9), int64(ns%1e9)).UTC()
	dst = t.AppendFormat(dst, "2006-01-02T15:04:05.000000000Z")
	dst = append(dst, ' ')
	dst = append(dst, name...)
	for i, l := range labels {
		sep := byte(',')
		if i == 0 {
			sep = '{'
		}
		dst = append(dst, sep)
		dst = append(dst, l.Key...)
		dst = append(dst, '=', '"')
		dst = appendAny(dst, l.Value)
		dst = append(dst, '"')
	}
	if len(labels) > 0 {
		dst = append(dst, '}')
	}
	return append(dst, " = "...)
}

// appendAny appends the value of a label.
func appendAny(dst []byte, v *commonpb.AnyValue) []byte {
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return append(dst, v.StringValue...)
	case *commonpb.AnyValue_BoolValue:
		return strconv.AppendBool(dst, v.BoolValue)
	case *commonpb.AnyValue_IntValue:
		return strconv.AppendInt(dst, v.IntValue, 10)
	case *commonpb.AnyValue_DoubleValue:
		return appendNumber(dst, v.DoubleValue)
	case *commonpb.AnyValue_BytesValue:
		return hex.AppendEncode(dst, v.BytesValue)
	case nil:
		return dst
	}
	return fmt.Append(dst, v) // lists and maps, which are unusual for labels
}

// appendNumber appends f as C's %.17g does.
func appendNumber(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "nan"...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	}
	return strconv.AppendFloat(dst, f, 'g', 17, 64)
}

// appendShort appends f as C's %g does.
func appendShort(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return appendNumber(dst, f)
	}
	return strconv.AppendFloat(dst, f, 'g', 6, 64)
}

func appendSum(dst []byte, m *metricspb.Metric, _ bool) []byte {
	return appendPoints(dst, m.Name, m.GetSum().GetDataPoints())
}

func appendGauge(dst []byte, m *metricspb.Metric, _ bool) []byte {
	return appendPoints(dst, m.Name, m.GetGauge().GetDataPoints())
}

func appendPoints(dst []byte, name string, points []*metricspb.NumberDataPoint) []byte {
	for _, p := range points {
		dst = appendHead(dst, name, p.TimeUnixNano, p.Attributes)
		switch v := p.Value.(type) {
		case *metricspb.NumberDataPoint_AsInt:
			dst = appendNumber(dst, float64(v.AsInt))
		case *metricspb.NumberDataPoint_AsDouble:
			dst = appendNumber(dst, v.AsDouble)
		default:
			dst = append(dst, '0')
		}
		dst = append(dst, '\n')
	}
	return dst
}

func appendSummary(dst []byte, m *metricspb.Metric, _ bool) []byte {
	for _, p := range m.GetSummary().GetDataPoints() {
		dst = appendHead(dst, m.Name, p.TimeUnixNano, p.Attributes)
		dst = append(dst, "{ quantiles = { "...)
		for i, q := range p.QuantileValues {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendShort(dst, q.Quantile)
			dst = append(dst, '=')
			dst = appendShort(dst, q.Value)
		}
		if len(p.QuantileValues) > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, "}, sum="...)
		dst = appendShort(dst, p.Sum)
		dst = fmt.Appendf(dst, ", count=%d }\n", p.Count)
	}
	return dst
}

func appendHistogram(dst []byte, m *metricspb.Metric, own bool) []byte {
	for _, p := range m.GetHistogram().GetDataPoints() {
		dst = appendHead(dst, m.Name, p.TimeUnixNano, p.Attributes)
		dst = append(dst, "{ buckets = { "...)
		var below uint64
		for i := 0; i <= len(p.ExplicitBounds); i++ {
			if i < len(p.ExplicitBounds) {
				dst = appendShort(dst, p.ExplicitBounds[i])
			} else {
				dst = append(dst, "+Inf"...)
			}
			var n uint64
			if i < len(p.BucketCounts) {
				n = p.BucketCounts[i]
			}
			if own {
				n += below
				below = n
			}
			dst = append(dst, '=')
			dst = strconv.AppendUint(dst, n, 10)
			if i < len(p.ExplicitBounds) {
				dst = append(dst, ',')
			}
			dst = append(dst, ' ')
		}
		dst = append(dst, "}, sum="...)
		dst = appendShort(dst, p.GetSum())
		dst = fmt.Appendf(dst, ", count=%d }\n", p.Count)
	}
	return dst
}

func appendExponential(dst []byte, m *metricspb.Metric, _ bool) []byte {
	for _, p := range m.GetExponentialHistogram().GetDataPoints() {
		dst = appendHead(dst, m.Name, p.TimeUnixNano, p.Attributes)
		dst = fmt.Appendf(dst, "{ scale=%d, zero_count=%d, zero_threshold=", p.Scale, p.ZeroCount)
		dst = appendNumber(dst, p.ZeroThreshold)
		dst = appendBuckets(append(dst, ", positive="...), p.Positive)
		dst = appendBuckets(append(dst, ", negative="...), p.Negative)
		dst = fmt.Appendf(dst, ", count=%d, sum=", p.Count)
		if p.Sum != nil {
			dst = appendNumber(dst, *p.Sum)
		} else {
			dst = append(dst, "unset"...)
		}
		dst = append(dst, " }\n"...)
	}
	return dst
}

func appendBuckets(dst []byte, b *metricspb.ExponentialHistogramDataPoint_Buckets) []byte {
	dst = fmt.Appendf(dst, "{offset=%d, bucket_counts=[", b.GetOffset())
	for i, n := range b.GetBucketCounts() {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = strconv.AppendUint(dst, n, 10)
	}
	return append(dst, "]}"...)
}
