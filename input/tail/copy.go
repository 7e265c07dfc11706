package tail

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Files that are rotated by copying and truncating lose in the truncation what
// was not read yet, and what was read but would have to be read again after a
// crash. Both is in the copy, at the same offsets: so the copy is looked for
// beside the file and takes over what is unfinished.

// generation is what is known of the content that a file has until it is
// truncated.
type generation struct {
	head  []byte    // its first bytes, at most markerSize; of use while none is read
	size  int64     // the largest that was seen
	begun time.Time // no copy of it is older
}

// clockStep is how far the times of files may be behind those of the process.
const clockStep = 10 * time.Millisecond

// begin starts the first generation of a file that was just opened.
func (g *generation) begin(f *os.File, size int64, modified time.Time) {
	g.restart()
	if modified.Before(g.begun) {
		g.begun = modified
	}
	g.look(f, size)
}

// restart starts the generation after a truncation.
func (g *generation) restart() { *g = generation{begun: time.Now().Add(-clockStep)} }

// look takes in what is to be known from the file itself.
func (g *generation) look(f *os.File, size int64) {
	g.size = max(g.size, size)
	if n := len(g.head); n < markerSize && size > int64(n) {
		if head := headOf(f, markerSize); bytes.HasPrefix(head, g.head) {
			g.head = head
		}
	}
}

// ask has the keeper do something while the reader, who calls it, waits; do may
// touch what belongs to either.
func (k *keeper) ask(ctx context.Context, do func()) error {
	done := make(chan struct{})
	select {
	case k.asked <- func() { defer close(done); do() }:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// truncated starts a file anew whose content is not what it was. If there is a
// copy of the old content the rest is read from that. Else what is held of it
// cannot be read again and is emitted before, by letGo.
func (in *Input) truncated(ctx context.Context, f *file, letGo func() error, why string) error {
	var copied bool
	if err := in.keeper.ask(ctx, func() { copied = f.gzip == nil && in.keeper.takeCopy(f, time.Now()) }); err != nil {
		return err
	}
	if !copied {
		if err := letGo(); err != nil {
			return err
		}
		if err := in.keeper.ask(ctx, func() { in.keeper.forgetContent(f) }); err != nil {
			return err
		}
	}
	in.truncations.Add(1)
	in.log.Info("file is read from its head again", "file", f.path, "because", why)
	if in.cfg.UnicodeEncoding != "" {
		f.unicode = unicodeEncoding(in.cfg.UnicodeEncoding)
	}
	return nil
}

// forgetContent starts a file anew of whose old content there is no copy. The
// reader waits meanwhile.
func (k *keeper) forgetContent(f *file) {
	if unread := f.content.size - f.offset; unread > 0 && f.gzip == nil {
		k.in.unreadBytes.Add(int(unread))
		k.log.Warn("a file was truncated before it was read to its end, and there is no copy beside it", "file", f.path, "unread_bytes", unread)
	}
	f.restart()
	f.content.restart()
	k.store()
}

// takeCopy looks for the copy of a file that was truncated, lets it take over
// what is unfinished, and starts the file anew. The reader waits meanwhile.
func (k *keeper) takeCopy(f *file, now time.Time) bool {
	at := mark{f.offset, f.before}
	if f.join != nil {
		at = f.ledger.end()
	}
	name := k.findCopy(f.name, func(c *os.File, size int64, modified time.Time) bool {
		if size < at.offset || modified.Before(f.content.begun) {
			return false
		}
		if at.offset == 0 {
			return len(f.content.head) > 0 && bytes.Equal(headOf(c, int64(len(f.content.head))), f.content.head)
		}
		before, err := (&file{f: c}).window(at.offset)
		return err == nil && before == at.before
	})
	if name == "" {
		return false
	}
	c, err := k.newFile(f.path, name, now)
	if err != nil {
		k.log.Error("cannot read the copy of a truncated file", "file", name, "error", err)
		return false
	}
	k.in.rewind(f)
	// The acknowledgements that are still to come are about the copy.
	c.ledger, f.ledger = f.ledger, &ledger{}
	c.ledger.again()
	c.skipping, c.unicode = f.skipping, f.unicode
	k.continueCopy(c, at, now)
	f.restart()
	f.content.restart()
	f.after = c
	k.log.Info("file was copied and truncated; the rest is read from the copy", "file", f.path, "copy", name, "offset", at.offset, "unread_bytes", c.size-at.offset)
	k.admit()
	return true
}

// continueCopy reads a copy from at on, as a file that has left its name.
func (k *keeper) continueCopy(c *file, at mark, now time.Time) {
	c.offset, c.before = at.offset, at.before
	c.pos.Store(at.offset)
	k.take(c)
	k.leaves(c, now)
	if k.db != nil {
		k.changes = append(k.changes, dbChange{file: c, name: c.name})
	}
}

// findCopy returns the latest of the files beside the one of that name that are
// not read, begin with its name up to the extension, and that ok takes.
func (k *keeper) findCopy(name string, ok func(f *os.File, size int64, modified time.Time) bool) (found string) {
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	dir, base := filepath.Split(filepath.Clean(name))
	names, err := readNames(filepath.Clean(dir + "."))
	if err != nil {
		k.log.Error("cannot look for the copy of a truncated file", "file", name, "error", err)
	}
	var latest time.Time
	for _, other := range names {
		if other == base || !strings.HasPrefix(other, strings.TrimSuffix(base, filepath.Ext(base))) {
			continue
		}
		other = dir + other
		st, id, err := statID(other)
		if err != nil || !st.Mode().IsRegular() || k.files[id] != nil || found != "" && st.ModTime().Before(latest) {
			continue
		}
		f, err := k.openFile(other)
		if err != nil {
			continue // It is no copy for us.
		}
		if ok(f, st.Size(), st.ModTime()) {
			found, latest = other, st.ModTime()
		}
		f.Close()
	}
	return found
}

// findCopies looks for copies of files that were truncated while nothing ran.
func (k *keeper) findCopies(now time.Time) {
	for f, row := range k.replaced {
		if row.markerSize == 0 || row.offset < 0 {
			continue
		}
		var at mark
		name := k.findCopy(f.name, func(c *os.File, size int64, _ time.Time) bool {
			before, err := (&file{f: c}).window(max(row.offset, 0))
			if err != nil || size <= row.offset || !row.about(size, &before) {
				return false
			}
			at = mark{row.offset, before}
			return true
		})
		if name == "" {
			continue
		}
		c, err := k.newFile(f.path, name, now)
		if err != nil {
			k.log.Error("cannot read the copy of a truncated file", "file", name, "error", err)
			continue
		}
		k.log.Info("file was copied and truncated while it was not read; the rest is read from the copy", "file", f.path, "copy", name, "offset", at.offset)
		k.continueCopy(c, at, now)
		c.ledger.start(at)
		f.after = c
	}
	k.replaced = nil
}
