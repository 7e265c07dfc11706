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
	report func(message string)
}

// remarked wraps the log of an instance that is about to be made; the caller
// calls done when it is.
func (b *builder) remarked(inst *config.Instance, log *slog.Logger) (wrapped *slog.Logger, done func()) {
	made := &atomic.Bool{}
	report := func(message string) {
		b.problems = append(b.problems, option.Problem{Severity: option.Warning, Pos: inst.Pos, Section: inst.Title(), Message: message})
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
	var details []string
	rec.Attrs(func(a slog.Attr) bool {
		details = append(details, fmt.Sprintf("%s: %v", a.Key, a.Value))
		return true
	})
	message := rec.Message
	if len(details) > 0 {
		message += " (" + strings.Join(details, ", ") + ")"
	}
	r.report(message)
	return nil
}

// WithAttrs implements slog.Handler.
func (r *remarks) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &remarks{r.Handler.WithAttrs(attrs), r.made, r.report}
}

// WithGroup implements slog.Handler.
func (r *remarks) WithGroup(name string) slog.Handler {
	return &remarks{r.Handler.WithGroup(name), r.made, r.report}
}
