// Package multiline is the filter multiline: it joins records that are parts of
// one message.
//
// In the mode parser, [Lines] asks multiline parsers which texts belong
// together, such as the lines of a stack trace. In the mode partial_message,
// [Partial] joins what Docker has split, going by the fields that its log driver
// adds. Both hold events back: what is complete goes on, and what has waited for
// flush_ms is handed on as it is, on the goroutine of Run (hold.go). The acks of
// the batches that held events came with are held as well (acks.go), so that no
// source is told of the delivery of an event that is only here.
package multiline

import (
	_ "embed"
	"fmt"
	"time"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the filter.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindFilter,
		Name:    "multiline",
		Summary: "Joins records that are parts of one message",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	DebugFlush         bool
	Buffer             bool
	Mode               string
	FlushMs            int
	Parsers            []string
	KeyContent         string
	EmitterName        string
	EmitterStorage     string
	EmitterMemBufLimit int64 // bytes
}

// The values of mode and of emitter_storage.type.
const (
	modeParser  = "parser"
	modePartial = "partial_message"
	memory      = "memory"
	filesystem  = "filesystem"
)

// minFlush is the least flush_ms that Fluent Bit takes in the mode parser.
const minFlush = 500 * time.Millisecond

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	*c = Config{}
	return []option.Field{
		option.Strings(&c.Parsers, "multiline.parser", "",
			"The multiline parsers that tell which texts belong together, separated by commas; the first that takes a text "+
				"counts. Built-in ones are `docker`, `cri`, `go`, `java`, `python` and `ruby`. The mode `parser` needs one.").WithRepeat(),
		option.String(&c.KeyContent, "multiline.key_content", "",
			"The key of the text. The mode `partial_message` needs it."),
		option.Enum(&c.Mode, "mode", modeParser, []string{modeParser, modePartial},
			"`parser` joins what multiline parsers say, `partial_message` what Docker has split."),
		option.Bool(&c.Buffer, "buffer", true,
			"Whether the mode `parser` holds back the last message until more records or `flush_ms` tell that it is complete. "+
				"Without it only records that arrive together are joined."),
		option.Int(&c.FlushMs, "flush_ms", 2000,
			"How long to wait for the rest of a message.").WithUnit("milliseconds"),
		option.String(&c.EmitterName, "emitter_name", "",
			"The name of the input that held records seem to come from, in metrics and on disk. "+
				"By default `emitter_for_` and the filter's name or alias."),
		option.Enum(&c.EmitterStorage, "emitter_storage.type", memory, []string{memory, filesystem},
			"Where records are kept on their way once they are joined. `filesystem` needs `storage.path` in the service section."),
		option.Size(&c.EmitterMemBufLimit, "emitter_mem_buf_limit", "10M",
			"How many bytes of joined records may be in memory on their way; beyond that the inputs wait. "+
				"Messages whose rest is awaited take as much at most. 0 is no limit of the emitter's own."),
		option.Bool(&c.DebugFlush, "debug_flush", false,
			"Print joined records to the standard output as well, in the mode `parser`."),
	}
}

// New makes the filter.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	h, err := c.hold(env)
	if err != nil {
		return nil, err
	}
	if c.Mode == modePartial {
		if c.KeyContent == "" {
			return nil, option.At("mode", fmt.Errorf("the mode %s needs multiline.key_content", modePartial))
		}
		if !c.Buffer {
			env.Log.Warn("the mode partial_message holds records back whatever buffer says; Fluent Bit crashes when they are due")
		}
		return newPartial(c, h), nil
	}
	return newLines(c, env, h)
}

// hold makes what both modes hold events with.
func (c *Config) hold(env *plugin.Env) (*hold, error) {
	h := newHold(env, c)
	if b, ok := h.out.(plugin.Buffered); ok {
		if err := b.Buffer(c.EmitterMemBufLimit, c.EmitterStorage == filesystem); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// wait is flush_ms as a duration.
func (c *Config) wait() time.Duration { return option.Times(max(c.FlushMs, 1), time.Millisecond) }
