package engine

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/deadletter"
	"github.com/kagarilog/kagari/event"
)

// keepLetters makes the box of dead letters, which start opens.
func (e *Engine) keepLetters(st *config.StorageService) {
	path := filepath.Join(st.Path, st.RejectedPath)
	e.keepUndelivered = st.KeepUndelivered
	e.letters = deadletter.New(path, max(st.RejectedLimit, 0), func(d deadletter.Dropped) {
		e.lettersDropped.Add(uint64(d.Letters))
		attrs := []any{"file", d.File, "not_replayed", d.Letters, "limit", st.RejectedLimit}
		switch {
		case d.Err != nil:
			e.log.Error("the oldest dead letters cannot be deleted to keep to the limit", append(attrs, "error", d.Err)...)
		case d.Letters > 0:
			e.log.Error("the oldest dead letters were deleted to keep to the limit", attrs...)
		default:
			e.log.Info("the oldest dead letters, all replayed, were deleted to keep to the limit", attrs...)
		}
	})
}

// openLetters takes their directory. If that fails it is tried again when there
// is something to write.
func (e *Engine) openLetters() {
	switch n, err := e.letters.Open(); {
	case err != nil:
		e.log.Error("dead letters cannot be written at the moment", "error", err)
	case n > 0:
		e.log.Info("there are dead letters; kagari replay sends them again", "path", e.letters.Path(), "files", n, "bytes", e.letters.Bytes())
	}
}

// fate is what became of events that were given up.
type fate struct {
	kept  int // as dead letters
	text  string
	attrs []any
}

// maxErrorText bounds the text of an error in a letter; some have the answer of
// the destination in them.
const maxErrorText = 4 << 10

func errorText(err error) string {
	if err == nil {
		return ""
	}
	s := err.Error()
	if len(s) > maxErrorText {
		s = s[:maxErrorText] + "…"
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return s
}

// reject writes events that are given up as dead letters, if they are kept. d
// is the delivery that they were part of.
func (s *sink) reject(d *delivery, c *event.Chunk, reason string, err error) fate {
	e := s.engine
	if e.give != nil {
		e.give(d, c, reason, err)
		return fate{text: "stay dead letters"}
	}
	if e.letters == nil {
		return fate{text: "are dropped"}
	}
	cause := deadletter.Cause{Input: d.entry.info.Input, Output: s.id, Chunk: d.entry.info.ID.String(), Reason: reason, Attempts: d.attempts,
		FirstError: d.first, Error: errorText(err), Processed: d.processed}
	if cause.FirstError == "" {
		cause.FirstError = cause.Error
	}
	kept, err := e.letters.Put(c, cause)
	f := fate{kept: kept, text: "are kept as dead letters", attrs: []any{"path", e.letters.Path()}}
	if err != nil {
		f.text = "are dropped, as they cannot all be written to the dead letters"
		f.attrs = append(f.attrs, "kept", kept, "write_error", err)
	}
	return f
}

// drop counts records that were given up, and that are lost unless they are
// kept.
func (s *sink) drop(d *delivery, reason string, n int, f fate) {
	s.stats.droppedRecords.Add(uint64(n))
	if info := &d.entry.info; info.Signal == event.Logs {
		from := s.stats.from(d)
		from.droppedRecords.Add(uint64(n))
		from.droppedBytes.Add(uint64(info.Size * n / max(info.Count, 1))) // Near enough.
	}
	if lost := n - f.kept; lost > 0 {
		s.stats.lostRecords.Add(uint64(lost))
		s.env.Stats.Drop(reason, lost)
	}
	s.countLetters(reason, f.kept)
}

func (s *sink) countLetters(reason string, n int) {
	if n > 0 {
		s.stats.letters.Add(uint64(n))
		s.env.Stats.Counter("kagari_dead_letters_total", "Events that were written to the dead letters, by reason.", "reason", reason).Add(n)
	}
}

// giveUp ends a delivery without success.
func (s *sink) giveUp(d *delivery, reason string, err error) fate {
	n := s.left(d)
	f := s.rejectRest(d, reason, err)
	s.drop(d, reason, n, f)
	s.finish(d)
	return f
}

// rejectRest rejects what is left of a delivery.
func (s *sink) rejectRest(d *delivery, reason string, cause error) fate {
	if s.engine.letters == nil && s.engine.give == nil {
		return fate{text: "are dropped"}
	}
	c := d.part
	if c == nil {
		var err error
		if c, err = d.entry.load(); err != nil {
			return fate{text: "are dropped, as the chunk cannot be read for the dead letters", attrs: []any{"read_error", err}}
		}
		defer c.Release()
	}
	return s.reject(d, c, reason, cause)
}

// bury makes dead letters of what could not be delivered before the end. It
// returns false, and the delivery goes on, if not all could be written.
func (s *sink) bury(d *delivery) bool {
	n := s.left(d)
	f := s.rejectRest(d, "undelivered", fmt.Errorf("the process ended before it was delivered; the last error: %s", orNone(d.first)))
	if f.kept < n {
		return false
	}
	s.countLetters("undelivered", f.kept)
	s.finish(d)
	return true
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
