// Package counter is the output counter: it prints how many records each chunk
// holds and throws them away.
package counter

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"strconv"
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
		Name:    "counter",
		Summary: "Prints the number of records of each chunk",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config has no options.
type Config struct{}

// Fields returns none.
func (c *Config) Fields() []option.Field { return nil }

// New makes the output.
func (c *Config) New(*plugin.Env) (plugin.Output, error) {
	return &Output{w: os.Stdout}, nil
}

// Output prints to standard output.
type Output struct{ w io.Writer }

var _ plugin.Output = (*Output)(nil)

// Send prints the line for c. The sum of serialized events and the total are
// the same number; Fluent Bit prints both.
func (o *Output) Send(_ context.Context, c *event.Chunk) error {
	ts := float64(time.Now().UnixMicro()) / 1e6
	line := make([]byte, 0, 128)
	line = append(line, `{"ts":`...)
	line = strconv.AppendFloat(line, ts, 'f', 6, 64)
	line = fmt.Appendf(line, `,"serialized_events":%d,"log_records":%d,"total":%d}`+"\n", c.Count, c.Count, c.Count)
	if _, err := o.w.Write(line); err != nil {
		return fmt.Errorf("write to standard output: %w", err)
	}
	return nil
}
