// Package logging writes the router's own log in the form of Fluent Bit's:
//
//	[2026/11/20 10:38:00.123] [ warn] [input:tail:tail.0] cannot open file path=/var/log/a.log error="permission denied"
//
// Handlers are slog handlers. Messages with the same instance, level and text
// are limited to a few in a time span, and what was held back is told with the
// next one, so that callers may log every bad record.
package logging

import (
	"context"
	"io"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// LevelTrace is below slog.LevelDebug; LevelOff is above everything.
const (
	LevelTrace = slog.Level(-8)
	LevelOff   = slog.Level(100)
)

// ParseLevel reads off, error, warn, warning, info, debug or trace in any case.
func ParseLevel(s string) (slog.Level, bool) {
	switch strings.ToLower(s) {
	case "off":
		return LevelOff, true
	case "error":
		return slog.LevelError, true
	case "warn", "warning":
		return slog.LevelWarn, true
	case "info":
		return slog.LevelInfo, true
	case "debug":
		return slog.LevelDebug, true
	case "trace":
		return LevelTrace, true
	}
	return 0, false
}

// The rate limit: so many equal messages in so much time.
const (
	limitBurst  = 5
	limitWindow = 10 * time.Second
	limitKeys   = 4096 // distinct messages remembered; beyond, all are forgotten
)

// sink is shared by a handler and all that were derived from it.
type sink struct {
	mu   sync.Mutex
	w    io.Writer
	buf  []byte
	seen map[limitKey]*limitState

	counts [5]uint64 // messages by place in levels
}

// levels are the levels with the least they begin at.
var levels = [...]struct {
	name  string
	label string // in five columns
	least slog.Level
}{
	{"error", "error", slog.LevelError}, {"warn", " warn", slog.LevelWarn}, {"info", " info", slog.LevelInfo},
	{"debug", "debug", slog.LevelDebug}, {"trace", "trace", math.MinInt},
}

type limitKey struct {
	name, msg string
	level     slog.Level
}

type limitState struct {
	since time.Time
	count int
	held  int
}

// Handler writes records to one writer.
type Handler struct {
	sink  *sink
	level slog.Leveler
	name  string // the instance, shown in brackets
	attrs []slog.Attr
	group string
}

var _ slog.Handler = (*Handler)(nil)

// NewHandler returns a handler for messages of at least the given level. w is
// written to by one goroutine at a time, whole lines only.
func NewHandler(w io.Writer, level slog.Leveler) *Handler {
	return &Handler{sink: &sink{w: w, seen: map[limitKey]*limitState{}}, level: level}
}

// SetWriter makes w the writer of the handler and of all that share its own. When
// it returns nothing is written to the one before any more.
func (h *Handler) SetWriter(w io.Writer) {
	h.sink.mu.Lock()
	h.sink.w = w
	h.sink.mu.Unlock()
}

// Named returns a logger on the same writer for the instance of that name and,
// unless level is nil, with a level of its own.
func (h *Handler) Named(name string, level slog.Leveler) *slog.Logger {
	c := *h
	c.name = string(appendClean(nil, name))
	if level != nil {
		c.level = level
	}
	return slog.New(&c)
}

// Enabled implements slog.Handler.
func (h *Handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append([]slog.Attr(nil), h.attrs...)
	for _, a := range attrs {
		a.Key = h.group + a.Key
		c.attrs = append(c.attrs, a)
	}
	return &c
}

// WithGroup implements slog.Handler; a group prefixes the keys behind it.
func (h *Handler) WithGroup(name string) slog.Handler {
	c := *h
	c.group += name + "."
	return &c
}

// Handle implements slog.Handler.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	s := h.sink
	s.mu.Lock()
	defer s.mu.Unlock()
	level := levelOf(r.Level)
	s.counts[level]++
	held, ok := s.admit(limitKey{h.name, r.Message, r.Level}, r.Time)
	if !ok {
		return nil
	}
	b := s.buf[:0]
	b = append(b, '[')
	b = r.Time.AppendFormat(b, "2006/01/02 15:04:05.000")
	b = append(b, "] ["...)
	b = append(b, levels[level].label...)
	b = append(b, "] "...)
	if h.name != "" {
		b = append(b, '[')
		b = append(b, h.name...)
		b = append(b, "] "...)
	}
	b = appendClean(b, r.Message)
	for _, a := range h.attrs {
		b = appendAttr(b, "", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		b = appendAttr(b, h.group, a)
		return true
	})
	if held > 0 {
		b = append(b, " (and "...)
		b = strconv.AppendInt(b, int64(held), 10)
		b = append(b, " more like this in the meantime)"...)
	}
	b = append(b, '\n')
	s.buf = b
	_, err := s.w.Write(b)
	return err
}

// admit applies the rate limit and tells how many equal messages were held
// back before this one. Debug messages are never held back.
func (s *sink) admit(k limitKey, now time.Time) (held int, ok bool) {
	if k.level < slog.LevelInfo {
		return 0, true
	}
	st := s.seen[k]
	if st == nil {
		if len(s.seen) >= limitKeys {
			clear(s.seen)
		}
		s.seen[k] = &limitState{since: now, count: 1}
		return 0, true
	}
	if now.Sub(st.since) >= limitWindow {
		held = st.held
		*st = limitState{since: now, count: 1}
		return held, true
	}
	if st.count++; st.count > limitBurst {
		st.held++
		return 0, false
	}
	return 0, true
}

// levelOf is the place of a level in levels.
func levelOf(l slog.Level) int {
	for i := range levels {
		if l >= levels[i].least {
			return i
		}
	}
	panic("BUG: a level below all others")
}

// Count calls f for every level with the number of messages of that level, those
// held back included, on this handler and all that share its writer.
func (h *Handler) Count(f func(level string, n uint64)) {
	h.sink.mu.Lock()
	counts := h.sink.counts
	h.sink.mu.Unlock()
	for i, n := range counts {
		f(levels[i].name, n)
	}
}

func appendAttr(b []byte, group string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return b
	}
	if v.Kind() == slog.KindGroup {
		for _, g := range v.Group() {
			b = appendAttr(b, group+a.Key+".", g)
		}
		return b
	}
	b = append(b, ' ')
	b = append(b, group...)
	b = append(b, a.Key...)
	b = append(b, '=')
	text := v.String()
	if text == "" || strings.ContainsFunc(text, func(r rune) bool {
		return r == ' ' || r == '"' || r == '=' || !unicode.IsPrint(r)
	}) {
		return strconv.AppendQuote(b, text)
	}
	return append(b, text...)
}

// appendClean appends a message with control characters escaped, so that no
// data can forge a line.
func appendClean(b []byte, s string) []byte {
	if !strings.ContainsFunc(s, unicode.IsControl) {
		return append(b, s...)
	}
	for _, r := range s {
		if unicode.IsControl(r) && r != '\t' {
			b = append(b, strings.Trim(strconv.QuoteRune(r), "'")...)
			continue
		}
		b = append(b, string(r)...)
	}
	return b
}
