// Package flowcounter is the output flowcounter: it prints how many records
// and bytes arrived in each second, minute, hour or day.
package flowcounter

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the output.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindOutput,
		Name:    "flowcounter",
		Summary: "Prints the number of records and bytes per time",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the output.
type Config struct {
	Unit       string
	EventBased bool
}

// ticks is the lengths of the units in seconds.
var ticks = map[string]int64{"second": 1, "minute": 60, "hour": 3600, "day": 86400}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.Enum(&c.Unit, "unit", "minute", []string{"second", "minute", "hour", "day"},
			"The time that is counted over. Fluent Bit takes minute for a word that it does not know.").WithLenient(),
		option.Bool(&c.EventBased, "event_based", false,
			"Count a record by its own time instead of the time of its arrival. Records older than the current count are left out."),
	}
}

// New makes the output.
func (c *Config) New(env *plugin.Env) (plugin.Output, error) {
	o := &Output{w: os.Stdout, log: env.Log, stats: env.Stats, unit: c.Unit, tick: ticks[c.Unit], byEvent: c.EventBased}
	// As many counts are open at a time as fit between two flushes.
	o.counts = make([]count, int64(env.Service.Flush/time.Second)/o.tick+1)
	now := time.Now().Unix()
	for i := range o.counts {
		o.counts[i].until = now + o.tick*int64(i)
	}
	return o, nil
}

// Output counts.
type Output struct {
	w       io.Writer
	log     *slog.Logger
	stats   *plugin.Stats
	unit    string
	tick    int64 // seconds
	byEvent bool

	mu     sync.Mutex
	counts []count // a ring
	first  int     // the oldest
}

// count is one line to be: what has a time of up to tick seconds before until,
// which are seconds since the Unix epoch.
type count struct {
	until          int64
	records, bytes uint64
}

// gapLimit is how many empty counts are printed for a time without records.
const gapLimit = 3600

var (
	_ plugin.Output = (*Output)(nil)
	_ io.Closer     = (*Output)(nil)
)

// Send counts the events of c and prints the counts that are complete.
func (o *Output) Send(_ context.Context, c *event.Chunk) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now().Unix()
	var lines []byte
	late := 0
	for cur := c.Cursor(); cur.Next(); {
		at := now
		if o.byEvent {
			at = cur.Time / 1e9
		}
		if at < o.counts[o.first].until-o.tick {
			late++
			continue
		}
		var n *count
		n, lines = o.find(at, lines)
		n.records++
		n.bytes += uint64(len(cur.Entry()))
	}
	if late > 0 {
		o.stats.Drop("out_of_range", late)
		o.log.Warn("records are older than the current count and were not counted", "records", late)
	}
	return o.print(lines)
}

// find returns the count for a time. While there is none the oldest is
// printed to lines and opened anew.
func (o *Output) find(at int64, lines []byte) (*count, []byte) {
	for gap := 0; ; gap++ {
		for i := range o.counts {
			n := &o.counts[(o.first+i)%len(o.counts)]
			if left := n.until - at; left >= 0 && left <= o.tick {
				return n, lines
			}
		}
		n := &o.counts[o.first]
		lines = o.appendLine(lines, n)
		*n = count{until: n.until + o.tick*int64(len(o.counts))}
		o.first = (o.first + 1) % len(o.counts)
		if gap < gapLimit {
			continue
		}
		// A time far ahead, perhaps of a broken clock: go there at once.
		for i := range o.counts {
			o.counts[(o.first+i)%len(o.counts)] = count{until: at + o.tick*int64(i)}
		}
	}
}

func (o *Output) appendLine(dst []byte, n *count) []byte {
	tick := uint64(o.tick)
	return fmt.Appendf(dst, `[out_flowcounter] [%d, {"counts":%d, "bytes":%d, "counts/%s":%d, "bytes/%s":%d }]`+"\n",
		n.until, n.records, n.bytes, o.unit, n.records/tick, o.unit, n.bytes/tick)
}

func (o *Output) print(lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	if _, err := o.w.Write(lines); err != nil {
		// The records are counted; sending them again would count them twice.
		o.log.Error("write to standard output failed", "error", err, "lost", strings.TrimSpace(string(lines)))
	}
	return nil
}

// Close prints the counts that are not complete yet.
func (o *Output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var lines []byte
	for i := range o.counts {
		n := &o.counts[(o.first+i)%len(o.counts)]
		if n.records > 0 {
			lines = o.appendLine(lines, n)
		}
		n.records, n.bytes = 0, 0
	}
	return o.print(lines)
}
