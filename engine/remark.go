package engine

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/option"
)

// remarks turns what a plugin warns of in New into problems of the
// configuration, so that `kagari check` and --strict know of them too. Once the
// instance is made, everything goes to its log.
type remarks struct {
	slog.Handler
	made   *atomic.Bool
	report func(message string, details []slog.Attr)
}

// remarked wraps the log of an instance that is about to be made; the caller
// calls done when it is.
func (b *builder) remarked(inst *config.Instance, log *slog.Logger) (wrapped *slog.Logger, done func()) {
	made := &atomic.Bool{}
	report := func(message string, details []slog.Attr) {
		p := option.Problem{Severity: option.Warning, Pos: inst.Pos, Section: inst.Title(), Message: message}
		if prop, ok := about(inst, b.fields(inst), details); ok {
			p.Key, p.Pos = prop.Key, prop.Value.Pos
		}
		b.problems = append(b.problems, p)
	}
	return slog.New(&remarks{log.Handler(), made, report}), func() { made.Store(true) }
}

// Enabled implements slog.Handler.
func (r *remarks) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && !r.made.Load() || r.Handler.Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (r *remarks) Handle(ctx context.Context, rec slog.Record) error {
	if rec.Level < slog.LevelWarn || r.made.Load() {
		return r.Handler.Handle(ctx, rec)
	}
	var details []slog.Attr
	var words []string
	rec.Attrs(func(a slog.Attr) bool {
		details = append(details, a)
		words = append(words, fmt.Sprintf("%s: %v", a.Key, a.Value))
		return true
	})
	message := rec.Message
	if len(words) > 0 {
		message += " (" + strings.Join(words, ", ") + ")"
	}
	r.report(message, details)
	return nil
}

// about finds the option that a remark is about: one that a detail has the name
// of, or one whose whole value a detail is.
func about(inst *config.Instance, own []option.Field, details []slog.Attr) (option.Property, bool) {
	for _, a := range details {
		if p, ok := inst.Where(own, a.Key, a.Value.String()); ok {
			return p, true
		}
	}
	for _, a := range details {
		if text := a.Value.String(); len(text) > 1 {
			if p, ok := inst.WhereText(text); ok {
				return p, true
			}
		}
	}
	return option.Property{}, false
}

// WithAttrs implements slog.Handler.
func (r *remarks) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &remarks{r.Handler.WithAttrs(attrs), r.made, r.report}
}

// WithGroup implements slog.Handler.
func (r *remarks) WithGroup(name string) slog.Handler {
	return &remarks{r.Handler.WithGroup(name), r.made, r.report}
}
