// Package accessor tells of record accessors in a configuration that are likely
// to mean something else.
package accessor

import (
	"log/slog"

	"github.com/kagarilog/kagari/event"
)

// WarnIgnored warns if the end of key has no effect, as in Fluent Bit. where is
// attributes that tell which key it is.
func WarnIgnored(log *slog.Logger, key *event.Accessor, where ...any) {
	if key.Ignored() == "" {
		return
	}
	log.Warn("part of a key is ignored; write $a['b.c'] for keys with such characters and nested keys",
		append(where, "ignored", key.Ignored(), "used", key.Key())...)
}
