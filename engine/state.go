package engine

import (
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/kagarilog/kagari/plugin"
)

// States returns the phase of the engine and what its instances say of
// themselves, in the order of the configuration. It may be called at any time.
func (e *Engine) States() (plugin.Phase, []plugin.State) {
	var list []plugin.State
	for _, in := range e.inputs {
		condition, _ := in.condition.Load().(plugin.Condition)
		if condition == "" {
			condition = plugin.ConditionStarting
		}
		list = append(list, plugin.State{Kind: plugin.KindInput, Name: in.id, Plugin: in.plugin, Condition: condition, Failure: in.failure.last()})
	}
	for _, f := range e.allSteps() {
		kind := plugin.KindFilter
		if f.scope != "" {
			kind = plugin.KindProcessor
		}
		list = append(list, plugin.State{Kind: kind, Name: f.id, Plugin: f.plugin, Failure: f.failure.last()})
	}
	oldest := e.oldest()
	for _, s := range e.sinks {
		list = append(list, plugin.State{Kind: plugin.KindOutput, Name: s.id, Plugin: s.plugin, Failure: s.failure.last(), Oldest: oldest[s]})
	}
	switch {
	case e.ending.Load():
		return plugin.PhaseStopping, list
	case e.started.Load() == 0:
		return plugin.PhaseStarting, list
	}
	return plugin.PhaseRunning, list
}

// States returns what the engine at work says of itself.
func (h *Host) States() (plugin.Phase, []plugin.State) {
	h.mu.Lock()
	e := h.current
	h.mu.Unlock()
	return e.States()
}

// oldest returns when the oldest event arrived that an output still has before
// it, in open chunks too. Outputs without any are left out.
func (e *Engine) oldest() map[*sink]time.Time {
	oldest := map[*sink]time.Time{}
	note := func(s *sink, at time.Time) {
		if old, ok := oldest[s]; !ok || at.Before(old) {
			oldest[s] = at
		}
	}
	open := func(src *source) {
		src.mu.Lock()
		defer src.mu.Unlock()
		for _, o := range src.order {
			for _, s := range o.plan.sinks {
				if s.takes(o.key.signal) {
					note(s, o.bu.Created)
				}
			}
		}
	}
	// Open chunks come first: one that is closed in between is seen twice, not
	// missed.
	for _, s := range e.sources() {
		open(s)
	}
	for _, s := range e.sinks {
		if b := s.backlog(); b.chunks > 0 {
			note(s, b.oldest)
		}
	}
	return oldest
}

// backlog is what an output still has before it.
type backlog struct {
	chunks   int
	retrying int // of these, those that wait for their next attempt
	bytes    int64
	oldest   time.Time
}

// scanShare is how much of the time may go into looking through backlogs: one
// part in so many. A look at a long one is good for a while.
const scanShare = 100

func (s *sink) backlog() backlog {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := backlog{chunks: len(s.sending) + len(s.waiting) + len(s.queue) + len(s.parked), retrying: len(s.waiting)}
	if b.chunks == 0 {
		return b
	}
	if start := time.Now(); !start.Before(s.scanned.until) {
		s.scanned.backlog = s.scan()
		end := time.Now()
		s.scanned.until = end.Add(scanShare * end.Sub(start))
	}
	b.bytes, b.oldest = s.scanned.bytes, s.scanned.oldest
	return b
}

// scanned is the result of a scan and how long it is good for.
type scanned struct {
	backlog
	until time.Time
}

// scan looks through all deliveries for their size and the oldest. s.mu is held.
func (s *sink) scan() (b backlog) {
	add := func(d *delivery) {
		b.bytes += int64(d.entry.info.Size)
		if at := d.entry.info.Created; b.oldest.IsZero() || at.Before(b.oldest) {
			b.oldest = at
		}
	}
	for d := range s.sending {
		add(d)
	}
	for d := range s.waiting {
		add(d)
	}
	for _, d := range s.queue {
		add(d)
	}
	for _, d := range s.parked {
		add(d)
	}
	return b
}

// failure keeps the last error of an instance. The zero value has none.
type failure struct {
	mu   sync.Mutex
	kept plugin.Failure
}

func (f *failure) note(err error) {
	now, text := time.Now(), public(err.Error())
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = plugin.Failure{At: now, Text: text}
}

func (f *failure) last() plugin.Failure {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kept
}

// longestFailure is how much of an error is told, in bytes.
const longestFailure = 400

// public makes the text of an error fit to be told to whoever asks, who may
// know less than the log: one line, not long, and without what stands behind
// the ? of an address, where some services have their keys.
func public(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	if len(text) > longestFailure {
		end := longestFailure
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + "…"
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "://")
		b.WriteString(before)
		if !found {
			return strings.ToValidUTF8(b.String(), "\uFFFD")
		}
		b.WriteString("://")
		end := strings.IndexAny(rest, " \"'<>,")
		if end < 0 {
			end = len(rest)
		}
		address := rest[:end]
		if i := strings.IndexByte(address, '?'); i >= 0 {
			address = address[:i] + "?…"
		}
		if i := strings.LastIndexByte(address, '@'); i >= 0 {
			address = "…" + address[i:]
		}
		b.WriteString(address)
		text = rest[end:]
	}
}
