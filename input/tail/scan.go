package tail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// memo is what is remembered of a file that is not open, so that it can be
// told from another one with the same inode.
type memo struct {
	id     fileID
	head   []byte // the first bytes, at most memoSize
	offset int64  // where to go on when the file is opened again
	failed bool   // given up: not to be opened again
	seen   int    // number of the last scan that found the path
}

const memoSize = 64

// scan looks for files in all paths. It returns false if something could not be
// read.
func (k *keeper) scan(now time.Time) (clean bool) {
	clean = true
	k.scans++
	for i := range k.patterns {
		paths, dirs, err := k.patterns[i].expand()
		if k.watch.addDirs(dirs) {
			// What has appeared before the directory was watched was not notified.
			paths, _, err = k.patterns[i].expand()
		}
		if err != nil {
			clean = false
			k.log.Error("cannot look for files", "path", k.patterns[i].text, "error", err)
		}
		for _, path := range paths {
			if !k.excluded(path) && !k.probe(path, now) {
				clean = false
			}
		}
	}
	for path, m := range k.memos {
		if m.seen != k.scans {
			delete(k.memos, path)
		}
	}
	if !k.first {
		k.admit()
	}
	return clean
}

// probe opens the file at path if it is a new one to be read. It returns false
// if the file could not be looked at.
func (k *keeper) probe(path string, now time.Time) bool {
	st, id, err := statID(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return true // gone already, or a link that leads nowhere
		}
		k.log.Error("cannot look at file", "file", path, "error", err)
		k.in.stats.Reject("file_unreadable", 1)
		return false
	}
	if !st.Mode().IsRegular() {
		if st.IsDir() && k.named(path) {
			k.log.Warn("the path is a directory; a pattern names the files in it", "path", path, "such_as", filepath.Join(path, "*.log"))
			return true
		}
		k.log.Debug("not a file", "path", path, "mode", st.Mode().String())
		return true
	}
	if f := k.files[id]; f != nil {
		f.seen = k.scans
		if f.name != path {
			k.appeared(f, path, now)
		}
		return true
	}
	m, known := k.memos[path]
	if known {
		m.seen = k.scans
		k.memos[path] = m
	}
	if k.tooOld(st, now) {
		k.remember(path, id, st.Size(), false, nil)
		return true
	}
	if old := k.byName[filepath.Clean(path)]; old != nil {
		if k.lookName(old, now); k.files[id] != nil {
			return true
		}
	}
	return k.open(path, now)
}

// named tells whether an element of the option path is this path, rather than a
// pattern that matches it.
func (k *keeper) named(path string) bool {
	for i := range k.patterns {
		if filepath.Clean(k.patterns[i].text) == filepath.Clean(path) {
			return true
		}
	}
	return false
}

func (k *keeper) tooOld(st fs.FileInfo, now time.Time) bool {
	return k.cfg.IgnoreOlder > 0 && now.Sub(st.ModTime()) > k.cfg.IgnoreOlder
}

// remember makes a memo of a file that is not, or no longer, open. f may be nil.
func (k *keeper) remember(path string, id fileID, offset int64, failed bool, f *os.File) {
	if m, ok := k.memos[path]; ok && m.id == id && m.offset <= offset {
		return
	}
	if f == nil {
		var err error
		if f, err = k.openFile(path); err != nil {
			return // it will be seen as a new one
		}
		defer f.Close()
	}
	k.memos[path] = memo{id: id, offset: offset, failed: failed, seen: k.scans, head: headOf(f, memoSize)}
}

func headOf(f *os.File, most int64) []byte {
	head, _ := io.ReadAll(io.NewSectionReader(f, 0, most))
	return head
}

// sameAs tells whether f is the file that m is about.
func (m *memo) sameAs(f *os.File, id fileID, size int64) bool {
	return m.id == id && size >= m.offset && size >= int64(len(m.head)) &&
		bytes.Equal(headOf(f, int64(len(m.head))), m.head)
}

// open opens a file and gives it to the reader. It returns false if the file
// could not be read.
func (k *keeper) open(path string, now time.Time) bool {
	f, err := k.newFile(path, path, now)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotWanted):
		return true
	case err != nil:
		k.log.Error("cannot open file", "file", path, "error", err)
		k.in.stats.Reject("file_unreadable", 1)
		return false
	}
	f.after = k.awaited[path].before
	delete(k.memos, path)
	delete(k.awaited, path)
	k.take(f)
	return true
}

// take takes a new file, which admit gives to the reader.
func (k *keeper) take(f *file) {
	k.in.opened.Add(1)
	k.in.seen.Store(true)
	k.in.unread.Add(1)
	k.files[f.id] = f
	k.byName[filepath.Clean(f.name)] = f
	k.log.Debug("file opened", "file", f.name, "inode", f.id.inode, "offset", f.offset)
	k.watch.add(f)
	f.fresh = true
	k.fresh = append(k.fresh, f)
}

// errNotWanted is why newFile makes no file that is no failure.
var errNotWanted = errors.New("the file is not to be read")

// newFile opens the file that is called name now and was called path, which is
// what its records say and its tag is made of.
func (k *keeper) newFile(path, name string, now time.Time) (_ *file, err error) {
	tag, err := k.in.tag.of(path)
	if err != nil {
		return nil, err
	}
	handle, err := k.openFile(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			handle.Close()
		}
	}()
	st, err := handle.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errNotWanted // replaced since it was looked at
	}
	id, err := idOf(st, handle)
	if err != nil {
		return nil, err
	}
	if k.files[id] != nil {
		return nil, errNotWanted
	}
	f := &file{
		id: id, path: path, name: name, tag: tag, f: handle, ledger: &ledger{},
		seen: k.scans, size: st.Size(), modified: st.ModTime(), grown: now, unread: true,
	}
	f.content.begin(handle, st.Size(), st.ModTime())
	if lst, err := os.Lstat(name); err == nil && lst.Mode()&fs.ModeSymlink != 0 {
		f.link = true
	}
	if isGzip(path) {
		f.gzip = &gzipState{}
	}
	if k.cfg.UnicodeEncoding != "" && f.gzip == nil {
		f.unicode = unicodeEncoding(k.cfg.UnicodeEncoding)
	}
	if err := k.position(f, st.Size()); err != nil {
		return nil, err
	}
	k.in.encode(f)
	return f, nil
}

// position sets where the reading of f starts: at the stored offset, at the
// remembered one, at the head or at the end.
func (k *keeper) position(f *file, size int64) error {
	offset := int64(0)
	if (k.first && !k.cfg.ReadFromHead) || (!k.first && !k.cfg.ReadNewFromHead) {
		offset = size
	}
	if k.db != nil && k.first && k.db.names[f.path] {
		// Another file was read under this name before, so this one is new.
		offset = 0
	}
	if m, ok := k.memos[f.path]; ok && m.sameAs(f.f, f.id, size) {
		if m.failed {
			return errNotWanted
		}
		offset = m.offset
	}
	row, stored := k.row(f)
	if stored {
		offset = row.offset
		f.row = row.id
	}
	var err error
	if f.before, err = f.window(offset); err != nil {
		return fmt.Errorf("read what is in front of offset %d: %w", offset, err)
	}
	if stored && !row.about(size, &f.before) {
		// The inode belongs to another file now, or the file was truncated.
		k.log.Info("file is read from its head, as the stored offset is not about its content", "file", f.path, "offset", offset)
		if k.first {
			if k.replaced == nil {
				k.replaced = map[*file]dbRow{}
			}
			k.replaced[f] = row
		}
		offset, f.before = 0, marker{}
	}
	f.offset = offset
	if f.gzip != nil {
		f.gzip.reset(offset)
	}
	f.pos.Store(offset)
	f.ledger.start(mark{f.offset, f.before})
	return nil
}

// row looks f up in the database.
func (k *keeper) row(f *file) (dbRow, bool) {
	if k.db == nil {
		return dbRow{}, false
	}
	row, ok := k.db.rows[f.id.inode]
	if !ok {
		return dbRow{}, false
	}
	if k.cfg.DBCompareFilename && filepath.Base(row.name) != filepath.Base(f.path) {
		k.changes = append(k.changes, dbChange{file: &file{row: row.id}, delete: true})
		delete(k.db.rows, f.id.inode)
		return dbRow{}, false
	}
	return row, true
}
