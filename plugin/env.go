package plugin

import (
	"cmp"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/parser/multiline"
)

// Env is what an instance gets from the engine.
type Env struct {
	// ID names the instance in logs and metrics: the alias if there is one, else
	// the plugin's name and number, such as "tail.0".
	ID string
	// Tag is the Tag option of an input, "" if not given; the engine's default
	// tag is then in DefaultTag.
	Tag        string
	DefaultTag string
	// Log is for messages about this instance. It limits the rate of messages
	// with the same text, so that a caller may log every event.
	Log *slog.Logger
	// Parser looks up a parser of the configuration by name.
	Parser func(name string) (Parser, error)
	// Multiline looks up a multiline parser by name, ignoring case.
	Multiline func(name string) (*multiline.Parser, error)
	// Emitter returns an emitter whose events enter the router as from an input
	// of that name, for filters that re-tag.
	Emitter func(name string) Emitter
	// Match tells whether the Match of a filter takes a tag. It is nil where the
	// instance has none, as in processors.
	Match func(tag string) bool
	// Sections reads another file of configuration syntax, such as the file of
	// an upstream option, relative to Dir.
	Sections func(path string) ([]Section, error)
	// Stop asks the process to flush and end with the given exit code.
	Stop func(code int)
	// Stats makes and keeps the instance's counters.
	Stats *Stats
	// Metrics returns the numbers of the whole process as they are now, counters
	// before gauges, in the order in which they are to be shown. The caller owns
	// the slice but not the labels.
	Metrics func() []Metric
	// Dir is the directory of the main configuration file.
	Dir string
	// Service is the settings of the whole process.
	Service Service
}

// OwnTag is the tag of events whose source gives none: Tag, or else DefaultTag.
func (e *Env) OwnTag() string { return cmp.Or(e.Tag, e.DefaultTag) }

// Service is what plugins need of the settings of the process.
type Service struct {
	Flush         time.Duration
	Grace         time.Duration
	Version       string
	EscapeUnicode bool // json.escape_unicode: JSON output is ASCII only
	// MultilineBufferLimit is multiline_buffer_limit in bytes: how large the text
	// of a joined record may become; 0 is no limit.
	MultilineBufferLimit int64
}

// Section is a named group of properties in a configuration file.
type Section struct {
	Name  string // as written, without brackets
	Props []option.Property
	Pos   option.Pos
}

// Counter is a number that only rises. Its zero value is ready.
type Counter struct{ n atomic.Uint64 }

// Add adds n.
func (c *Counter) Add(n int) { c.n.Add(uint64(n)) }

// Load returns the current value.
func (c *Counter) Load() uint64 { return c.n.Load() }

// Metric is one number about the process, as told by Env.Metrics.
type Metric struct {
	Name    string // Prometheus name, such as "fluentbit_input_records_total"
	Help    string
	Type    MetricType
	Labels  []Label
	Value   float64  // of a histogram the sum of what was observed
	Buckets *Buckets // of a histogram, else nil
}

// Buckets are the observations of a histogram.
type Buckets struct {
	Bounds []float64 // upper, rising
	// Counts has a number for each bucket alone, and a last one for what is above
	// all bounds.
	Counts []uint64
}

// Count is the number of observations.
func (b *Buckets) Count() (n uint64) {
	for _, c := range b.Counts {
		n += c
	}
	return n
}

// Label is one name and value of a Metric.
type Label struct{ Name, Value string }

// MetricType tells how the values of a Metric relate over time.
type MetricType uint8

// The types of metrics.
const (
	CounterMetric   MetricType = iota // only rises while the process lives
	GaugeMetric                       // rises and falls
	HistogramMetric                   // has Buckets, of which all rise
)
