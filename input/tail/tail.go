package tail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/text/encoding"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// Input follows files. Make it with Config.New.
type Input struct {
	cfg     Config
	log     *slog.Logger
	tag     tagger
	parser  plugin.Parser     // nil for none
	enc     encoding.Encoding // generic.encoding, nil for none
	joining joining

	// What records are made of, see record.go.
	lineKey  []byte
	pathKey  []byte
	offset   []byte
	extra    int   // number of fields besides the line
	longest  int   // longest line in bytes, without the line feed
	readSize int64 // how much is read from a file at once

	queue *queue
	// unread is the number of open files that were not read to their end yet.
	unread atomic.Int64
	// seen is set once there was a file.
	seen atomic.Bool

	holders holders // the reader's

	keeper  *keeper
	started sync.Once
	startup error

	decoder *encoding.Decoder // of enc; the reader's
	scratch []byte            // decoded lines and probes; the reader's

	opened, closed, rotated, truncatedLines, skippedLines *plugin.Counter
	truncations, unreadBytes                              *plugin.Counter
	stats                                                 *plugin.Stats
}

var (
	_ plugin.Input       = (*Input)(nil)
	_ plugin.Starter     = (*Input)(nil)
	_ plugin.InputConfig = (*Config)(nil)
)

// defaultReadSize is large enough for the cost of a system call and of a batch
// not to matter, and small enough to stay in the processor's cache.
const defaultReadSize = 256 << 10

// maxEvents bounds the events of a batch, for files with very short lines.
const maxEvents = 8192

// New checks the options and makes the input. It opens nothing.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	in := &Input{
		cfg:      *c,
		log:      env.Log,
		longest:  int(max(c.BufferMaxSize-2, 0)),
		readSize: defaultReadSize,
		queue:    newQueue(),
		holders:  newHolders(),
		stats:    env.Stats,
	}
	in.tag = newTagger(c, env)
	if c.Parser != "" {
		p, err := env.Parser(c.Parser)
		if err != nil {
			// Fluent Bit goes on without it, too.
			env.Log.Error("lines are not parsed", "error", err)
		}
		in.parser = p
	}
	var err error
	if in.joining, err = newJoining(c, env); err != nil {
		return nil, err
	}
	if in.parser != nil && (in.joining.core != nil || in.joining.firstLine != nil) {
		env.Log.Warn("option \"parser\" is without effect where lines are joined by multiline or multiline.parser")
		in.parser = nil
	}
	if c.GenericEncoding != "" {
		in.enc = genericEncoding(c.GenericEncoding)
		in.decoder = in.enc.NewDecoder()
	}
	in.lineKey = event.AppendString(nil, c.Key)
	if c.PathKey != "" {
		in.pathKey = event.AppendString(nil, c.PathKey)
		in.extra++
	}
	if c.OffsetKey != "" {
		in.offset = event.AppendString(nil, c.OffsetKey)
		in.extra++
	}
	if n := min(c.StaticBatchSize, c.EventBatchSize); n > 0 {
		in.readSize = min(in.readSize, n)
	}
	counter := func(name, help string) *plugin.Counter { return env.Stats.Counter(name, help, "", "") }
	in.opened = counter("fluentbit_input_files_opened_total", "Total number of opened files")
	in.closed = counter("fluentbit_input_files_closed_total", "Total number of closed files")
	in.rotated = counter("fluentbit_input_files_rotated_total", "Total number of rotated files")
	in.truncatedLines = counter("fluentbit_input_long_line_truncated_total", "Total number of truncated occurences for long lines")
	in.skippedLines = counter("fluentbit_input_long_line_skipped_total", "Total number of skipped occurences for long lines")
	in.truncations = counter("kagari_input_files_truncated_total", "Total number of files that were truncated or written anew")
	in.unreadBytes = counter("kagari_input_truncated_unread_bytes_total", "Bytes that files lost by truncation before they were read, as far as known, and of which no copy was found")
	in.joining.truncated = counter("fluentbit_input_multiline_truncated_total", "Total number of truncated occurences for multilines")
	in.keeper = newKeeper(in)
	return in, nil
}

// Start opens the database and the files that are there, so that nothing
// written from now on is missed.
func (in *Input) Start(context.Context) error {
	in.started.Do(func() { in.startup = in.keeper.start(time.Now()) })
	return in.startup
}

// Run reads until ctx ends.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	if err := in.Start(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		in.keeper.run(ctx)
	}()
	err := in.read(ctx, out)
	if err == nil {
		in.letAllGoAtEnd(ctx, out)
	}
	cancel()
	<-ended
	return err
}

// Close stores the offsets that were acknowledged since Run ended and closes
// database and files.
func (in *Input) Close() error { return in.keeper.close() }

// read gives the files in the queue their turns.
func (in *Input) read(ctx context.Context, out plugin.Emitter) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		if err := in.expire(ctx, out); err != nil {
			return err
		}
		f := in.queue.next()
		if f == nil {
			if in.cfg.ExitOnEOF && in.seen.Load() && in.unread.Load() == 0 {
				if err := in.letAllGo(ctx, out); err != nil {
					return err
				}
				return plugin.ErrStop
			}
			timer.Reset(in.holders.wait(in.joining.longest()))
			select {
			case <-ctx.Done():
			case <-in.queue.wake:
			case <-timer.C:
			}
			continue
		}
		if p := f.after; p != nil && in.queue.claim(p) {
			// The file that had the name before is read to its end first.
			more, err := in.give(ctx, out, p)
			if err != nil || more {
				in.queue.done(f, true)
				if err != nil {
					return err
				}
				continue
			}
		}
		f.after = nil
		if _, err := in.give(ctx, out, f); err != nil {
			return err
		}
	}
	return nil
}

// give gives a file its turn. An error after the end of ctx is none.
func (in *Input) give(ctx context.Context, out plugin.Emitter, f *file) (more bool, err error) {
	more, err = in.turn(ctx, out, f)
	if !more && err == nil {
		in.atEnd(f)
		if f.finish.Load() || f.failed.Load() {
			err = in.letGo(ctx, out, f, true)
		}
	}
	return more, in.given(ctx, f, more, err)
}

// given ends the turn of a file.
func (in *Input) given(ctx context.Context, f *file, more bool, err error) error {
	in.holders.note(f)
	in.queue.done(f, more && err == nil)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// atEnd notes that a file was read to its end, or given up.
func (in *Input) atEnd(f *file) {
	if f.unread {
		f.unread = false
		in.unread.Add(-1)
	}
}

// errTooLong says that a file is given up for a line that is too long.
var errTooLong = errors.New("a line is longer than buffer_max_size")

// giveUp ends the reading of a file for good.
func (in *Input) giveUp(f *file, err error) {
	in.log.Error("file is given up", "file", f.path, "offset", f.offset, "error", err)
	in.stats.Reject("file_given_up", 1)
	f.failed.Store(true)
}

func (in *Input) fileError(what string, f *file, err error) {
	in.log.Error(fmt.Sprintf("cannot %s file", what), "file", f.path, "error", err)
}
