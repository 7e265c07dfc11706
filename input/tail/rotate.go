package tail

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

// look gives f to the reader if it has changed.
func (k *keeper) look(f *file, now time.Time) {
	st, err := f.f.Stat()
	if err != nil {
		k.in.fileError("look at", f, err)
		return
	}
	if st.Size() != f.size || !st.ModTime().Equal(f.modified) {
		f.size, f.modified, f.grown = st.Size(), st.ModTime(), now
		k.push(f)
	} else if f.size != f.pos.Load() {
		k.push(f)
	}
	if st.Size() < f.content.size {
		f.shrunk.Store(true)
	}
	f.content.look(f.f, st.Size())
	if !f.removed && removed(st) {
		f.removed = true
		k.lookName(f, now)
	}
	if k.cfg.IgnoreActiveOlder && f.left.IsZero() && k.tooOld(st, now) && k.finished(f) && !f.holds.Load() {
		k.log.Debug("file is closed as it is older than ignore_older", "file", f.name)
		k.remember(f.name, f.id, f.ledger.end().offset, false, f.f)
		k.drop(f, false)
	}
}

// lookName finds out whether the name of f leads to another file by now.
func (k *keeper) lookName(f *file, now time.Time) {
	if !f.left.IsZero() || k.files[f.id] != f {
		return
	}
	_, id, err := statID(f.name)
	switch {
	case err == nil && id == f.id:
		return
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		k.log.Error("cannot look at file", "file", f.name, "error", err)
		return
	}
	old := f.name
	k.leaves(f, now)
	if f.removed {
		k.log.Debug("file was removed", "file", old, "inode", f.id.inode)
	} else {
		k.in.rotated.Add(1)
		if name := currentName(f.f); name != "" {
			k.rename(f, name)
		}
		k.log.Info("file was rotated", "file", old, "inode", f.id.inode, "to", f.name)
	}
	if path, ok := k.wanted(filepath.Clean(old)); ok {
		k.awaited[path] = awaited{f, now.Add(k.cfg.RefreshInterval)}
		k.probe(path, now)
	}
}

// leaves starts the time for which a file is still read that has lost its name.
func (k *keeper) leaves(f *file, now time.Time) {
	f.left, f.grown = now, now
	k.leaving[f] = struct{}{}
	// Notifications for the name are about another file from now on.
	k.polled[f] = struct{}{}
	k.watch.remove(f)
	k.forgetName(f)
}

func (k *keeper) forgetName(f *file) {
	if name := filepath.Clean(f.name); k.byName[name] == f {
		delete(k.byName, name)
	}
}

// rename notes that f is called name now, if its old name does not lead to it
// as well.
func (k *keeper) rename(f *file, name string) {
	if _, id, err := statID(f.name); err == nil && id == f.id {
		return
	}
	k.forgetName(f)
	f.name = name
	k.byName[filepath.Clean(name)] = f
	if k.db != nil {
		k.changes = append(k.changes, dbChange{file: f, name: name})
	}
}

// appeared handles a name that leads to f, which is known by another one: f was
// renamed, or has two names.
func (k *keeper) appeared(f *file, name string, now time.Time) {
	k.lookName(f, now)
	k.rename(f, name)
}

// lookAwaited looks for files under names that rotated files have left.
func (k *keeper) lookAwaited(now time.Time) {
	for path, a := range k.awaited {
		if now.After(a.until) {
			delete(k.awaited, path)
			continue
		}
		k.probe(path, now)
	}
}

// finished tells whether f was read to its end, that nothing more is to be
// done with it, and that everything was acknowledged.
func (k *keeper) finished(f *file) bool {
	return f.pos.Load() == f.size && f.ledger.settled()
}

// leave closes a file that has lost its name, or was given up, when its time
// is over and it is finished.
func (k *keeper) leave(f *file, now time.Time) {
	if f.failed.Load() {
		if f.ledger.settled() && k.in.queue.retire(f) {
			k.remember(f.name, f.id, f.offset, true, f.f)
			k.drop(f, !f.left.IsZero())
		}
		return
	}
	if now.Sub(f.grown) < k.cfg.RotateWait {
		return
	}
	k.look(f, now)
	if now.Sub(f.grown) < k.cfg.RotateWait || !k.finished(f) {
		return
	}
	if !f.finish.Load() {
		if !f.removed && k.stillFound(f, now) {
			f.left = time.Time{}
			delete(k.leaving, f)
			k.watch.add(f)
			return
		}
		// An unfinished last line will stay so.
		f.finish.Store(true)
		k.push(f)
		return
	}
	k.drop(f, true)
}

// stillFound tells whether a file that was renamed is among the paths under its
// new name, too. Then it is read on: closing it would mean to find it again and
// to read it twice.
func (k *keeper) stillFound(f *file, now time.Time) bool {
	k.scan(now)
	return f.seen == k.scans
}

// drop closes f, unless the reader has it; then it is tried again later. forget
// says that its offset is of no more use.
func (k *keeper) drop(f *file, forget bool) {
	if !k.in.queue.retire(f) {
		return
	}
	k.watch.remove(f)
	f.f.Close()
	k.in.closed.Add(1)
	delete(k.files, f.id)
	delete(k.polled, f)
	delete(k.leaving, f)
	k.forgetName(f)
	k.log.Debug("file closed", "file", f.name, "inode", f.id.inode)
	if k.db == nil {
		return
	}
	if forget {
		k.changes = append(k.changes, dbChange{file: f, delete: true})
		delete(k.db.rows, f.id.inode)
		return
	}
	m, _ := f.ledger.take()
	k.changes = append(k.changes, dbChange{file: f, offset: true, at: m})
}

// findRotated looks for files that were rotated while nothing ran, or that were
// not read to their end when the process died: the database knows how far they
// were read, but none of the paths leads to them. They are looked for in the
// directories in which they were.
func (k *keeper) findRotated(now time.Time) {
	open := map[uint64]bool{}
	for id := range k.files {
		open[id.inode] = true
	}
	missing := map[string]map[uint64]dbRow{}
	for inode, row := range k.db.rows {
		if row.path == "" {
			row.path = row.name
		}
		if _, ok := k.wanted(filepath.Clean(row.path)); ok && !open[inode] {
			dir := filepath.Dir(row.name)
			if missing[dir] == nil {
				missing[dir] = map[uint64]dbRow{}
			}
			missing[dir][inode] = row
		}
	}
	for dir, rows := range missing {
		names, err := readNames(dir)
		if err != nil {
			k.log.Error("cannot look for rotated files", "directory", dir, "error", err)
			continue
		}
		for _, name := range names {
			st, id, err := statID(filepath.Join(dir, name))
			if err != nil || !st.Mode().IsRegular() || k.files[id] != nil {
				continue
			}
			if row, ok := rows[id.inode]; ok && row.offset < st.Size() {
				k.takeRotated(row, filepath.Join(dir, name), now)
			}
		}
	}
}

// takeRotated reads the rest of a file that was rotated while nothing ran.
func (k *keeper) takeRotated(row dbRow, name string, now time.Time) {
	f, err := k.newFile(row.path, name, now)
	if err != nil {
		k.log.Error("cannot read the rest of a rotated file", "file", name, "error", err)
		return
	}
	if row.markerSize == 0 && !strings.HasPrefix(filepath.Base(name), filepath.Base(row.path)) || f.offset != row.offset {
		// The inode was given to another file.
		f.f.Close()
		return
	}
	k.log.Info("file was rotated while it was not read; reading the rest", "file", row.path, "to", name, "offset", f.offset)
	k.take(f)
	k.leaves(f, now)
	k.rename(f, name)
}
