// Package random is the input random: it makes records of random numbers.
package random

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/binary"
	"errors"
	"time"

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
		Name:    "random",
		Summary: "Makes records of random numbers, for tests",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the input.
type Config struct {
	Samples  int
	Interval interval.Options
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return append([]option.Field{
		option.Int(&c.Samples, "samples", -1, "How many records are made; a negative number means any number, 0 none."),
	}, c.Interval.Fields()...)
}

// New makes the input.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	return &Input{tag: env.OwnTag(), every: c.Interval.Duration(), left: c.Samples}, nil
}

// Input makes records.
type Input struct {
	tag   string
	every time.Duration
	left  int // negative for any number
}

var _ plugin.Input = (*Input)(nil)

var errEnough = errors.New("enough records were made")

// Run makes a record in every interval.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	if in.left == 0 {
		return nil
	}
	err := interval.Run(ctx, in.every, func() error {
		var random [8]byte
		_, _ = rand.Read(random[:]) // crypto/rand.Read never fails
		b := event.NewBatch(in.tag)
		e := b.Add(time.Now().UnixNano())
		value := b.SetArena(event.AppendUint(b.Arena(9), binary.NativeEndian.Uint64(random[:])))
		e.Append(b.String("rand_value"), value)
		if err := out.Emit(ctx, b); err != nil {
			return err
		}
		if in.left > 0 {
			if in.left--; in.left == 0 {
				return errEnough
			}
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}
