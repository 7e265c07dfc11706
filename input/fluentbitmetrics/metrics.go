// Package fluentbitmetrics is the input fluentbit_metrics: the numbers of the
// process itself, as metrics that go to outputs like those of others.
package fluentbitmetrics

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/interval"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the input.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindInput,
		Name:    "fluentbit_metrics",
		Summary: "Metrics of the process itself",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the input.
type Config struct {
	ScrapeInterval time.Duration
	ScrapeOnStart  bool
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.Seconds(&c.ScrapeInterval, "scrape_interval", "2s",
			"Time between two readings."),
		option.Bool(&c.ScrapeOnStart, "scrape_on_start", false,
			"Read once five seconds after the start too, if the interval is more than two seconds."),
	}
}

// firstAfter is when scrape_on_start reads, by when a pipeline has something
// to tell.
const firstAfter = 5 * time.Second

// New makes the input.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	if c.ScrapeInterval <= 0 {
		return nil, option.At("scrape_interval", fmt.Errorf("scrape_interval is %v; it must be more than zero", c.ScrapeInterval))
	}
	return &Input{
		tag: env.OwnTag(), every: c.ScrapeInterval, read: env.Metrics, version: env.Service.Version,
		early:   c.ScrapeOnStart && c.ScrapeInterval > 2*time.Second,
		started: time.Now(),
		scrapes: env.Stats.Counter("fluentbit_input_metrics_scrapes_total", "Number of total metrics scrapes", "", ""),
	}, nil
}

// Input reads the numbers.
type Input struct {
	tag     string
	every   time.Duration
	early   bool
	read    func() []plugin.Metric
	version string
	started time.Time
	scrapes *plugin.Counter
}

var _ plugin.Input = (*Input)(nil)

// Run reads in every interval.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	if !in.early {
		return interval.Run(ctx, in.every, func() error { return in.scrape(ctx, out) })
	}
	first := time.NewTimer(firstAfter)
	defer first.Stop()
	t := time.NewTicker(in.every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-first.C:
		case <-t.C:
		}
		if err := in.scrape(ctx, out); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

func (in *Input) scrape(ctx context.Context, out plugin.Emitter) error {
	in.scrapes.Add(1)
	payload, err := in.marshal(in.read(), time.Now())
	if err != nil {
		return err
	}
	b := event.NewBatch(in.tag)
	b.Signal, b.Payload = event.Metrics, payload
	return out.Emit(ctx, b)
}

// marshal makes an OTLP message of metrics; those of one name that follow each
// other become one metric with several points.
func (in *Input) marshal(all []plugin.Metric, now time.Time) ([]byte, error) {
	var metrics []*metricspb.Metric
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Name == all[0].Name && all[n].Type == all[0].Type {
			n++
		}
		metrics = append(metrics, in.metric(all[:n], now))
		all = all[n:]
	}
	payload, err := proto.Marshal(&metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{
		ScopeMetrics: []*metricspb.ScopeMetrics{{
			Scope:   &commonpb.InstrumentationScope{Name: "kagari", Version: in.version},
			Metrics: metrics,
		}},
	}}})
	if err != nil {
		return nil, fmt.Errorf("marshal metrics: %w", err)
	}
	return payload, nil
}

// metric makes one metric of series that differ in their labels.
func (in *Input) metric(series []plugin.Metric, now time.Time) *metricspb.Metric {
	if series[0].Type == plugin.HistogramMetric {
		return in.histogram(series, now)
	}
	points := make([]*metricspb.NumberDataPoint, len(series))
	for i, s := range series {
		p := &metricspb.NumberDataPoint{
			TimeUnixNano: uint64(now.UnixNano()),
			Value:        &metricspb.NumberDataPoint_AsDouble{AsDouble: s.Value},
		}
		if s.Type == plugin.CounterMetric {
			p.StartTimeUnixNano = uint64(in.started.UnixNano())
		}
		p.Attributes = attributes(s.Labels)
		points[i] = p
	}
	m := &metricspb.Metric{Name: series[0].Name, Description: series[0].Help}
	if series[0].Type == plugin.CounterMetric {
		m.Data = &metricspb.Metric_Sum{Sum: &metricspb.Sum{
			DataPoints: points, IsMonotonic: true,
			AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE,
		}}
	} else {
		m.Data = &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: points}}
	}
	return m
}

// histogram is metric for histograms.
func (in *Input) histogram(series []plugin.Metric, now time.Time) *metricspb.Metric {
	points := make([]*metricspb.HistogramDataPoint, len(series))
	for i, s := range series {
		points[i] = &metricspb.HistogramDataPoint{
			StartTimeUnixNano: uint64(in.started.UnixNano()), TimeUnixNano: uint64(now.UnixNano()), Attributes: attributes(s.Labels),
			Count: s.Buckets.Count(), Sum: &s.Value, ExplicitBounds: s.Buckets.Bounds, BucketCounts: s.Buckets.Counts,
		}
	}
	return &metricspb.Metric{Name: series[0].Name, Description: series[0].Help, Data: &metricspb.Metric_Histogram{Histogram: &metricspb.Histogram{
		DataPoints: points, AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE,
	}}}
}

func attributes(labels []plugin.Label) (out []*commonpb.KeyValue) {
	for _, l := range labels {
		out = append(out, &commonpb.KeyValue{
			Key: l.Name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: l.Value}},
		})
	}
	return out
}
