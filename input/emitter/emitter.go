// Package emitter is the name of the input emitter, through which filters emit
// events with a new tag. The engine makes one for each such filter; it cannot
// be configured, so that all there is here is a better message than that there
// is no such plugin.
package emitter

import (
	"errors"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// Def describes the input.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindInput,
		Name:    "emitter",
		Summary: "Events that filters emit, for internal use",
		Doc:     "# emitter\n\nFor internal use: events that a filter emits with a new tag enter the pipeline through it.\n",
		Config:  func() plugin.Config { return &Config{} },
		Hidden:  true,
	}
}

// Config is the options of the input.
type Config struct{ RingBufferSize int }

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.Int(&c.RingBufferSize, "ring_buffer_size", 0, "Accepted for compatibility."),
	}
}

// New refuses: nobody but the engine can emit through it.
func (c *Config) New(*plugin.Env) (plugin.Input, error) {
	return nil, errors.New("the input emitter is for internal use; give the filter that emits, such as rewrite_tag, the options emitter_name, emitter_mem_buf_limit and emitter_storage.type instead")
}
