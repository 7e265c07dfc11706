// Package stdin is the input stdin: JSON or lines from standard input. At its
// end the process ends.
package stdin

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the input.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindInput,
		Name:    "stdin",
		Summary: "JSON or lines from standard input",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the input.
type Config struct {
	Parser     string
	BufferSize int64
}

// leastBuffer is the default size of the buffer and the smallest that Fluent
// Bit takes, in bytes.
const leastBuffer = 16000

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.String(&c.Parser, "parser", "",
			"Parser for lines. Without it the input is JSON. A line that does not fit makes no record."),
		option.Size(&c.BufferSize, "buffer_size", "16000",
			"Size of the buffer, at least 16000. A line or JSON value that does not fit is left out."),
	}
}

// New makes the input.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	if c.BufferSize < leastBuffer || c.BufferSize > 1<<30 {
		return nil, option.At("buffer_size", fmt.Errorf("buffer_size is %d; it must be from %d to 1G", c.BufferSize, leastBuffer))
	}
	in := &Input{
		file: os.Stdin, log: env.Log, stats: env.Stats,
		tag: env.OwnTag(), limit: int(c.BufferSize) - 1,
	}
	if c.Parser != "" {
		var err error
		if in.parser, err = env.Parser(c.Parser); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// Input reads standard input.
type Input struct {
	file   *os.File
	log    *slog.Logger
	stats  *plugin.Stats
	tag    string
	parser plugin.Parser // nil for JSON
	limit  int           // bytes in the buffer
}

var (
	_ plugin.Input   = (*Input)(nil)
	_ plugin.Starter = (*Input)(nil)
)

// Start refuses a standard input that is closed.
func (in *Input) Start(context.Context) error {
	if _, err := in.file.Stat(); err != nil {
		return fmt.Errorf("look at standard input: %w", err)
	}
	return nil
}

// Run reads until the end and asks the process to end then.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	r, stop, err := interruptible(ctx, in.file)
	if err != nil {
		return fmt.Errorf("prepare to read standard input: %w", err)
	}
	defer stop()
	err = (&decoder{Input: in}).run(ctx, r, out)
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, io.EOF):
		in.log.Info("standard input has ended")
	default:
		in.log.Error("standard input cannot be read any more", "error", err)
	}
	return plugin.ErrStop
}
