package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kagarilog/kagari/deadletter"
	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/event"
)

// The size of a chunk of letters, and how many tags are collected at once.
const (
	replayBytes  = 1 << 20
	replayCount  = 1000
	replayGroups = 256
)

// replayRun is a replay at work. mu guards what the outputs' answers change.
type replayRun struct {
	*replay
	outputs *engine.Replay
	target  string // of --to
	line    *statusLine

	mu       sync.Mutex
	sent     int
	failed   int
	firstWhy string
	stop     context.CancelCauseFunc

	before     int // replayed before
	other      int // that the flags do not choose
	unreadable int
	missing    map[string]int // by output that does not exist
	refused    int            // that no output takes
	removed    int

	read, size int64 // bytes, for progress
}

// replayKey is what the letters of a chunk have in common.
type replayKey struct {
	output, tag string
	signal      event.Signal
	processed   bool
}

// replayFile is a file of letters at work.
type replayFile struct {
	name     string
	replayed *deadletter.Replayed
	waiting  sync.WaitGroup // chunks that are not settled
	groups   map[replayKey][]*deadletter.Letter
	order    []replayKey
	bytes    map[replayKey]int
	left     int // letters and lines that are not replayed; guarded by replayRun.mu
}

var errUnreachable = errors.New("the destination takes nothing")

func (r *replayRun) run(ctx context.Context, p *program, files []string) error {
	for _, name := range files {
		if st, err := os.Stat(name); err == nil {
			r.size += st.Size()
		}
	}
	stopLine := r.line.every(func() string { return r.progress() })
	feeding, stop := context.WithCancelCause(ctx)
	r.stop = stop
	defer stop(nil)
	var open []*replayFile
	err := r.outputs.Run(feeding, func(ctx context.Context) error {
		for _, name := range files {
			f, err := r.open(name)
			if err != nil {
				return err
			}
			if err := r.file(ctx, f); err != nil {
				open = append(open, f)
				return err
			}
			if err := r.close(f); err != nil {
				return err
			}
		}
		return nil
	})
	for _, f := range open {
		err = errors.Join(err, f.replayed.Close())
	}
	stopLine()
	switch cause := context.Cause(feeding); {
	case ctx.Err() != nil && err != nil:
		err = errors.New("interrupted; the same command goes on where this one has ended")
	case ctx.Err() == nil && cause != nil:
		err = cause
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report(p.out)
	if err != nil {
		return p.failed(err)
	}
	if r.failed+r.unreadable+r.refused+len(r.missing) > 0 {
		return exitError{exitFailed}
	}
	return nil
}

func (r *replayRun) open(name string) (*replayFile, error) {
	done, err := deadletter.OpenReplayed(name)
	if err != nil {
		return nil, err
	}
	return &replayFile{name: name, replayed: done, groups: map[replayKey][]*deadletter.Letter{}, bytes: map[replayKey]int{}}, nil
}

// file sends the letters of a file and waits until all are settled. After an
// error some may not be.
func (r *replayRun) file(ctx context.Context, f *replayFile) error {
	var last int64
	err := eachLetter(f.name, func(l *deadletter.Letter, err error, offset int64) error {
		r.mu.Lock()
		r.read += offset - last
		r.mu.Unlock()
		last = offset
		if err != nil {
			r.line.say("kagari: " + err.Error())
			r.unreadable++
			r.keep(f, 1)
			return nil
		}
		return r.letter(ctx, f, l)
	})
	if err != nil {
		return err
	}
	for _, key := range f.order {
		if err := r.send(ctx, f, key); err != nil {
			return err
		}
	}
	settled := make(chan struct{})
	go func() { f.waiting.Wait(); close(settled) }()
	select {
	case <-settled:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// keep notes letters that are not replayed.
func (r *replayRun) keep(f *replayFile, n int) {
	r.mu.Lock()
	f.left += n
	r.mu.Unlock()
}

// letter adds a letter to the chunk that it belongs to.
func (r *replayRun) letter(ctx context.Context, f *replayFile, l *deadletter.Letter) error {
	r.mu.Lock()
	done := f.replayed.Has(l.ID)
	r.mu.Unlock()
	if !r.takes(l) {
		r.other++
		if !done {
			r.keep(f, 1)
		}
		return nil
	}
	if done && !r.again {
		r.before++
		return nil
	}
	name := r.target
	if name == "" {
		name = l.Output
	}
	id, processes, ok := r.outputs.Output(name)
	if !ok || name == "" {
		r.missing[name]++
		r.keep(f, 1)
		return nil
	}
	// The processors of its own output have run already, those of another have not.
	processed := l.Processed && id == l.Output
	key := replayKey{id, l.Tag, l.Signal, processed}
	if len(f.groups[key]) == 0 {
		f.order = append(f.order, key)
	}
	f.groups[key] = append(f.groups[key], l)
	f.bytes[key] += len(l.Entry)
	// What processors make of a letter cannot be told from what they make of
	// another, and metrics are one message: these go alone.
	alone := processes && !processed || l.Signal != event.Logs
	if alone || len(f.groups[key]) >= replayCount || f.bytes[key] >= replayBytes {
		return r.send(ctx, f, key)
	}
	if len(f.order) > replayGroups {
		return r.send(ctx, f, f.order[0])
	}
	return nil
}

// send sends the collected letters of a key.
func (r *replayRun) send(ctx context.Context, f *replayFile, key replayKey) error {
	letters := f.groups[key]
	delete(f.groups, key)
	delete(f.bytes, key)
	f.order = slices.DeleteFunc(slices.Clone(f.order), func(k replayKey) bool { return k == key })
	f.waiting.Add(1)
	err := r.outputs.Send(ctx, key.output, letterChunk(letters), key.processed, func(failed []engine.Failure) {
		defer f.waiting.Done()
		r.settled(f, letters, failed)
	})
	if err == nil {
		return nil
	}
	f.waiting.Done()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.line.say(fmt.Sprintf("kagari: %s of %s: %v", counted(len(letters), "letter"), letters[0].Output, err))
	r.refused += len(letters)
	r.keep(f, len(letters))
	return nil
}

// settled remembers what has arrived. It is called on workers of outputs.
func (r *replayRun) settled(f *replayFile, letters []*deadletter.Letter, failures []engine.Failure) {
	ids, failed := arrived(letters, failures)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := f.replayed.Add(ids); err != nil {
		r.stop(err) // Going on would send all of it twice.
	}
	r.sent += len(ids)
	r.failed += failed
	f.left += failed
	if failed == 0 {
		return
	}
	if r.firstWhy == "" {
		r.firstWhy, _, _ = strings.Cut(failures[0].Err.Error(), "\n")
	}
	if failures[0].Reason == "retries_exhausted" {
		r.stop(fmt.Errorf("%w: %s", errUnreachable, r.firstWhy))
	}
}

// arrived returns the ids of the letters that are not among the failures, and
// how many are.
func arrived(letters []*deadletter.Letter, failures []engine.Failure) (ids []string, failed int) {
	left := map[string]int{}
	for _, f := range failures {
		left[string(f.Entry)]++
	}
	for _, l := range letters {
		if left[string(l.Entry)] > 0 {
			left[string(l.Entry)]--
			failed++
			continue
		}
		ids = append(ids, l.ID)
	}
	if failed < len(failures) {
		return nil, len(letters) // Something was changed on the way.
	}
	return ids, failed
}

// close ends the work on a file of which everything is settled.
func (r *replayRun) close(f *replayFile) error {
	if err := f.replayed.Close(); err != nil {
		return fmt.Errorf("remember what was replayed: %w", err)
	}
	if !r.remove || f.left > 0 || r.beingWritten(f.name) {
		return nil
	}
	if err := deadletter.Remove(f.name); err != nil {
		return err
	}
	r.removed++
	return nil
}

// beingWritten tells whether a router may still add to the file.
func (r *replayRun) beingWritten(name string) bool {
	if !deadletter.InUse(name) {
		return false
	}
	files, err := deadletter.Files(filepath.Dir(name))
	return err != nil || len(files) == 0 || filepath.Base(files[len(files)-1]) == filepath.Base(name)
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (r *replayRun) progress() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := "replaying: " + counted(r.sent, "letter") + " sent"
	if r.failed > 0 {
		s += fmt.Sprintf(", %d failed", r.failed)
	}
	if r.size > 0 {
		s += fmt.Sprintf(", %d%% read", min(100*r.read/r.size, 100))
	}
	return s
}

// report says what has become of the letters. r.mu is held.
func (r *replayRun) report(w io.Writer) {
	parts := []string{counted(r.sent, "letter") + " replayed"}
	add := func(n int, text string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, text))
		}
	}
	add(r.failed, "given up again, which stay letters")
	add(r.refused, "not taken by the output")
	add(r.before, "replayed before")
	add(r.other, "not chosen by the flags")
	add(r.unreadable, "not readable")
	if r.removed > 0 {
		parts = append(parts, counted(r.removed, "file")+" removed")
	}
	fmt.Fprintln(w, strings.Join(parts, ", "))
	if r.firstWhy != "" {
		fmt.Fprintln(w, "the first error: "+r.firstWhy)
	}
	names := make([]string, 0, len(r.missing))
	for name := range r.missing {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		what := fmt.Sprintf("of the output %q, which the configuration does not have", name)
		if name == "" {
			what = "of no output"
		}
		fmt.Fprintf(w, "%s %s; --to says where to send them\n", counted(r.missing[name], "letter"), what)
	}
}

// statusLine writes messages, and on a terminal below them a line that is
// written anew all the time.
type statusLine struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	text     string
}

// Write writes a message of the log.
func (s *statusLine) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	n, err := s.w.Write(b)
	s.draw()
	return n, err
}

func (s *statusLine) say(text string) { _, _ = s.Write([]byte(text + "\n")) }

func (s *statusLine) clear() {
	if s.terminal && s.text != "" {
		_, _ = io.WriteString(s.w, "\r\x1b[K")
	}
}

func (s *statusLine) draw() {
	if s.terminal && s.text != "" {
		_, _ = io.WriteString(s.w, s.text)
	}
}

// every shows the text again and again: several times a second on a terminal, as
// a line every ten seconds elsewhere. The function it returns ends that.
func (s *statusLine) every(text func() string) (stop func()) {
	wait := 10 * time.Second
	if s.terminal {
		wait = 200 * time.Millisecond
	}
	ticker := time.NewTicker(wait)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ticker.C:
				if !s.terminal {
					s.say(text())
					continue
				}
				s.mu.Lock()
				s.clear()
				s.text = text()
				s.draw()
				s.mu.Unlock()
			case <-done:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(done)
		<-ended
		s.mu.Lock()
		defer s.mu.Unlock()
		s.clear()
		s.text = ""
	}
}
