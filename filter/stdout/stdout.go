// Package stdout is the filter stdout: it prints records to the standard
// output and passes them on.
package stdout

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the filter.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindFilter,
		Name:    "stdout",
		Summary: "Prints records to the standard output and passes them on",
		Doc:     doc,
		Config:  func() plugin.Config { return Config{} },
	}
}

// Config is the options of the filter: there are none.
type Config struct{}

// Fields binds the options.
func (Config) Fields() []option.Field { return nil }

// New makes the filter.
func (Config) New(*plugin.Env) (plugin.Filter, error) { return &Filter{w: os.Stdout}, nil }

// Filter prints records.
type Filter struct {
	w io.Writer

	mu  sync.Mutex
	buf []byte // the text of one batch
}

var _ plugin.Filter = (*Filter)(nil)

// bufferMax is how much of the buffer is kept for the next batch.
const bufferMax = 1 << 20

// Filter prints the events of b, with one write. An event is a line:
//
//	[0] tag: [1700000000.250000000, {metadata}, {"key"=>"value"}]
func (f *Filter) Filter(_ context.Context, b *event.Batch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := f.buf[:0]
	for i := range b.Events {
		text = appendEvent(text, i, &b.Events[i])
	}
	if cap(text) <= bufferMax {
		f.buf = text
	} else {
		f.buf = nil
	}
	if len(text) == 0 {
		return nil
	}
	if _, err := f.w.Write(text); err != nil {
		return fmt.Errorf("write to standard output: %w", err)
	}
	return nil
}

func appendEvent(dst []byte, i int, e *event.Event) []byte {
	dst = append(dst, '[')
	dst = strconv.AppendInt(dst, int64(i), 10)
	dst = append(dst, "] "...)
	dst = append(dst, e.Batch().Tag...)
	dst = append(dst, ": ["...)
	dst = strconv.AppendInt(dst, e.Time/1e9, 10)
	dst = append(dst, '.')
	// Nine digits, with zeros in front.
	nano := strconv.AppendInt(dst, 1e9+e.Time%1e9, 10)
	dst = append(dst, nano[len(dst)+1:]...)
	dst = append(dst, ", "...)
	if len(e.Meta) > 0 {
		dst = event.AppendText(dst, e.Meta)
	} else {
		dst = append(dst, "{}"...)
	}
	dst = append(dst, ", "...)
	dst = event.AppendText(dst, e.Record())
	return append(dst, "]\n"...)
}
