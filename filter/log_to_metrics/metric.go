package log_to_metrics

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/metrictext"
)

// metric is the metric with its series, kept in the form in which it is
// marshalled.
type metric struct {
	mode   string
	labels []label
	limit  int // of series
	start  time.Time

	message *metricspb.MetricsData
	numbers *[]*metricspb.NumberDataPoint    // in message
	spreads *[]*metricspb.HistogramDataPoint // in message
	bounds  []float64                        // rising

	series map[string]int // index of the point, by the labels with their lengths
	key    []byte         // scratch
}

func newMetric(mode, name, description, version string, labels []label, bounds []float64, limit int) *metric {
	m := &metric{mode: mode, labels: labels, limit: limit, start: time.Now(), bounds: bounds, series: map[string]int{}}
	pb := &metricspb.Metric{Name: name, Description: description}
	const cumulative = metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	switch mode {
	case counter:
		data := &metricspb.Sum{IsMonotonic: true, AggregationTemporality: cumulative}
		m.numbers, pb.Data = &data.DataPoints, &metricspb.Metric_Sum{Sum: data}
	case gauge:
		data := &metricspb.Gauge{}
		m.numbers, pb.Data = &data.DataPoints, &metricspb.Metric_Gauge{Gauge: data}
	case histogram:
		data := &metricspb.Histogram{AggregationTemporality: cumulative}
		m.spreads, pb.Data = &data.DataPoints, &metricspb.Metric_Histogram{Histogram: data}
	default:
		panic("BUG: there is no mode " + mode)
	}
	m.message = &metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{
		ScopeMetrics: []*metricspb.ScopeMetrics{{
			Scope:   &commonpb.InstrumentationScope{Name: metrictext.OwnScope, Version: version},
			Metrics: []*metricspb.Metric{pb},
		}},
	}}}
	return m
}

// len returns the number of series.
func (m *metric) len() int { return len(m.series) }

// observe takes the number of a record into its series: a counter rises by it, a
// gauge is set to it. It returns false if the series would be one too many.
func (m *metric) observe(e *event.Event, n float64, now time.Time) bool {
	m.key = m.key[:0]
	for i := range m.labels {
		at := len(m.key)
		m.key = m.labels[i].append(append(m.key, 0, 0), e)
		binary.BigEndian.PutUint16(m.key[at:], uint16(len(m.key)-at-2))
	}
	i, ok := m.series[string(m.key)]
	if !ok {
		if len(m.series) >= m.limit {
			return false
		}
		i = m.add(now)
	}
	if m.mode == histogram {
		p := (*m.spreads)[i]
		p.TimeUnixNano = uint64(now.UnixNano())
		// A bucket counts the values up to its bound, and above that of the one before.
		bucket, _ := slices.BinarySearch(m.bounds, n)
		p.BucketCounts[bucket]++
		p.Count++
		*p.Sum += n
		return true
	}
	p := (*m.numbers)[i]
	p.TimeUnixNano = uint64(now.UnixNano())
	value := p.Value.(*metricspb.NumberDataPoint_AsDouble)
	if m.mode == counter {
		n += value.AsDouble
	}
	value.AsDouble = n
	return true
}

// add makes the series of m.key.
func (m *metric) add(now time.Time) int {
	var attributes []*commonpb.KeyValue
	rest := m.key
	for _, l := range m.labels {
		n := binary.BigEndian.Uint16(rest)
		value := string(rest[2 : 2+n])
		rest = rest[2+n:]
		attributes = append(attributes, &commonpb.KeyValue{
			Key: l.name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}},
		})
	}
	i := len(m.series)
	m.series[string(m.key)] = i
	start := uint64(m.start.UnixNano())
	switch m.mode {
	case histogram:
		*m.spreads = append(*m.spreads, &metricspb.HistogramDataPoint{
			Attributes: attributes, StartTimeUnixNano: start, Sum: new(float64),
			ExplicitBounds: m.bounds, BucketCounts: make([]uint64, len(m.bounds)+1),
		})
	default:
		p := &metricspb.NumberDataPoint{Attributes: attributes, Value: &metricspb.NumberDataPoint_AsDouble{}}
		if m.mode == counter {
			p.StartTimeUnixNano = start
		}
		*m.numbers = append(*m.numbers, p)
	}
	return i
}

// append appends the marshalled metric. Several behind each other are a message
// too.
func (m *metric) append(dst []byte) []byte {
	out, err := proto.MarshalOptions{}.MarshalAppend(dst, m.message)
	if err != nil {
		panic(fmt.Sprintf("BUG: marshal metrics: %v", err))
	}
	return out
}
