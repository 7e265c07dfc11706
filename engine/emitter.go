package engine

import (
	"fmt"
	"sync"

	"github.com/kagarilog/kagari/plugin"
)

// emitter makes the source through which a filter's own events enter. Its
// events came from other sources and are counted there, so only its name is
// new, and the limits that the filter asks for.
func (b *builder) emitter(env *plugin.Env) *source {
	s := b.source("emitter_for_"+env.ID, "emitter")
	s.log = env.Log
	s.memory.limit = 0
	var once sync.Once
	env.Emitter = func(name string) plugin.Emitter {
		once.Do(func() {
			s.listed = true
			if name != "" {
				s.id, s.defaultTag = name, name
			}
		})
		return emitter{s}
	}
	b.engine.emitters = append(b.engine.emitters, s)
	return s
}

// unique refuses an emitter that has the name of another input, as metrics and
// stored chunks could not be told apart.
func (b *builder) unique(s *source) error {
	if !s.listed {
		return nil
	}
	for _, in := range b.engine.inputs {
		if in.id == s.id {
			return fmt.Errorf("the emitter cannot be named %q, which is an input", s.id)
		}
	}
	for _, other := range b.engine.emitters {
		if other != s && other.listed && other.id == s.id {
			return fmt.Errorf("the emitter cannot be named %q, which is the emitter of another filter", s.id)
		}
	}
	return nil
}

// emitter is a source as filters see it.
type emitter struct{ *source }

var _ plugin.Buffered = emitter{}

// Buffer sets the limits.
func (e emitter) Buffer(memory int64, filesystem bool) error {
	if filesystem && e.engine.dir == nil {
		return fmt.Errorf("emitter %s: storage.type filesystem needs storage.path in the service section", e.id)
	}
	e.memory.limit, e.filesystem = max(memory, 0), filesystem
	return nil
}
