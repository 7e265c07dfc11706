package deadletter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/filelock"
)

const (
	suffix   = ".jsonl"
	lockFile = "letters.lock"

	// layout names a file. The fixed width makes the order of names that of time.
	layout = "20060102T150405.000000000Z"

	// maxFile is the size at which a file is ended, if the limit is not small.
	maxFile = 16 << 20
	// maxWrite is how much is written at once, unless one letter is larger.
	maxWrite = 1 << 20
)

// Box is a directory of letters that this process writes to. Its methods may be
// called from several goroutines.
type Box struct {
	path    string
	limit   int64 // bytes of all files, 0 for none
	dropped func(Dropped)

	bytes atomic.Int64

	mu      sync.Mutex
	lock    *os.File
	files   []boxFile // oldest first
	current *os.File  // the last of files, or nil
	size    int64     // of current
	last    time.Time // in the name of the newest file
	run     string    // in the ids of this run
	count   uint64
	lines   []byte // to be written
	pending int    // letters in lines
	scratch []byte
}

type boxFile struct {
	name string // with the directory
	size int64
}

// Dropped tells of a file that was deleted to keep to the limit.
type Dropped struct {
	File    string
	Letters int // that were never replayed
	Err     error
}

// New returns the box at path. When its files would take more than limit bytes
// (0: no limit) the oldest is deleted and dropped told of it, while the box is
// busy: it must not call the box.
func New(path string, limit int64, dropped func(Dropped)) *Box {
	return &Box{path: path, limit: limit, dropped: dropped}
}

// Path is the directory.
func (b *Box) Path() string { return b.path }

// Bytes is the size of all files of the box, as of the last Open or Put.
func (b *Box) Bytes() int64 { return b.bytes.Load() }

// Open makes the directory and takes it for this process. Put does it as well if
// it was not done, so an error here is a chance to tell early. It returns how
// many files of letters are there.
func (b *Box) Open() (files int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	err = b.open()
	return len(b.files), err
}

// open does nothing if the box is open. b.mu is held.
func (b *Box) open() error {
	if b.lock != nil {
		return nil
	}
	if err := os.MkdirAll(b.path, 0o755); err != nil {
		return fmt.Errorf("make directory of dead letters: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(b.path, lockFile), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write to directory of dead letters: %w", err)
	}
	if err := filelock.Lock(f); err != nil {
		_ = f.Close()
		return fmt.Errorf("take directory of dead letters %q: %w", b.path, err)
	}
	names, err := Files(b.path)
	if err != nil {
		_ = f.Close()
		return err
	}
	b.files = b.files[:0]
	for _, name := range names {
		if st, err := os.Stat(name); err == nil {
			b.files = append(b.files, boxFile{name, st.Size() + remembered(name)})
		}
		if t, ok := begun(name); ok {
			b.last = t
		}
	}
	b.lock = f
	b.run = strconv.FormatInt(time.Now().UnixNano(), 16)
	b.resume()
	b.sum()
	return nil
}

// Files lists the files of letters in a directory, oldest first.
func Files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, ok := begun(e.Name()); ok && e.Type().IsRegular() {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return names, nil
}

// InUse tells whether a process writes to the file at path just now.
func InUse(path string) bool {
	f, err := os.Open(filepath.Join(filepath.Dir(path), lockFile))
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(filelock.Test(f), filelock.ErrInUse)
}

// begun is the time in the name of a file.
func begun(name string) (time.Time, bool) {
	base, ok := strings.CutSuffix(filepath.Base(name), suffix)
	if !ok {
		return time.Time{}, false
	}
	t, err := time.Parse(layout, base)
	return t, err == nil
}

// remembered is the size of what is remembered of replays of a file.
func remembered(name string) int64 {
	st, err := os.Stat(name + replayedSuffix)
	if err != nil {
		return 0
	}
	return st.Size()
}

// resume goes on in the newest file if it has room, so that many short runs do
// not make many files. Whatever forbids it, a new file will do. b.mu is held.
func (b *Box) resume() {
	if len(b.files) == 0 {
		return
	}
	name := b.files[len(b.files)-1].name
	f, err := os.OpenFile(name, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return
	}
	st, err := f.Stat()
	if err != nil || st.Size() >= b.fileLimit() {
		_ = f.Close()
		return
	}
	size := st.Size()
	end := []byte{'\n'}
	if size > 0 {
		_, err = f.ReadAt(end, size-1)
	}
	if err == nil && end[0] != '\n' {
		// A crash came in the middle of a line.
		if _, err = f.Write([]byte{'\n'}); err == nil {
			size++
		}
	}
	if err != nil {
		_ = f.Close()
		return
	}
	b.current, b.size = f, size
}

// fileLimit is the size at which a file is ended. Deleting the oldest must not
// cost most of what there is.
func (b *Box) fileLimit() int64 {
	if b.limit > 0 {
		return min(maxFile, b.limit/8)
	}
	return maxFile
}

// Put writes all events of a chunk. It returns how many are safe on disk and
// why the others are not.
func (b *Box) Put(c *event.Chunk, cause Cause) (kept int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.open(); err != nil {
		return 0, err
	}
	l := Letter{Cause: cause, GivenUp: time.Now(), Tag: c.Tag, Signal: c.Signal}
	b.lines, b.pending = b.lines[:0], 0
	tooLong := 0
	add := func(entry []byte) error {
		b.count++
		l.Entry, l.ID = entry, b.run+"-"+strconv.FormatUint(b.count, 10)
		var err error
		if b.lines, b.scratch, err = l.Append(b.lines, b.scratch); err != nil {
			tooLong++
			return nil
		}
		b.pending++
		if len(b.lines) < maxWrite {
			return nil
		}
		n, err := b.write()
		kept += n
		return err
	}
	if c.Signal != event.Logs {
		err = add(c.Bytes())
	} else {
		cur := c.Cursor()
		for err == nil && cur.Next() {
			err = add(cur.Entry())
		}
		if err == nil {
			err = cur.Err()
		}
	}
	if err == nil {
		var n int
		n, err = b.write()
		kept += n
	}
	if tooLong > 0 {
		err = errors.Join(err, ErrTooLong)
	}
	if cap(b.lines) > 4*maxWrite {
		b.lines = nil
	}
	if cap(b.scratch) > maxWrite {
		b.scratch = nil
	}
	b.sum()
	return kept, err
}

// write brings the pending lines to disk, whole or not at all. b.mu is held.
func (b *Box) write() (letters int, err error) {
	if b.pending == 0 {
		return 0, nil
	}
	n := int64(len(b.lines))
	if b.limit > 0 && n > b.limit {
		return 0, fmt.Errorf("write dead letters: %d bytes are more than the limit of all, %d", n, b.limit)
	}
	if b.current != nil && b.size > 0 && b.size+n > b.fileLimit() {
		b.end()
	}
	b.makeRoom(n)
	if b.current == nil {
		if err := b.begin(); err != nil {
			return 0, err
		}
	}
	if _, err = b.current.Write(b.lines); err == nil {
		err = b.current.Sync()
	}
	if err != nil {
		// Nothing of it may stay: the events are counted as lost.
		if cut := b.current.Truncate(b.size); cut != nil {
			b.end() // Half a line at the end of a file does no harm.
		}
		return 0, fmt.Errorf("write dead letters: %w", err)
	}
	letters = b.pending
	b.size += n
	b.files[len(b.files)-1].size += n
	b.lines, b.pending = b.lines[:0], 0
	return letters, nil
}

// begin makes a new file. b.mu is held.
func (b *Box) begin() error {
	now := time.Now().UTC()
	if !now.After(b.last) {
		now = b.last.Add(1)
	}
	name := filepath.Join(b.path, now.Format(layout)+suffix)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		// Somebody has cleared the directory away.
		if err := os.MkdirAll(b.path, 0o755); err != nil {
			return fmt.Errorf("make directory of dead letters: %w", err)
		}
		f, err = os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	}
	if err != nil {
		return fmt.Errorf("create file of dead letters: %w", err)
	}
	b.last, b.current, b.size = now, f, 0
	b.files = append(b.files, boxFile{name: name})
	if d, err := os.Open(b.path); err == nil {
		_ = d.Sync() // Some file systems cannot.
		_ = d.Close()
	}
	return nil
}

// end closes the current file. b.mu is held.
func (b *Box) end() {
	if b.current != nil {
		_ = b.current.Close() // What was written is synced.
		b.current = nil
	}
}

// makeRoom deletes the oldest files until n more bytes keep to the limit. Files
// that are gone already are forgotten. b.mu is held.
func (b *Box) makeRoom(n int64) {
	if b.current != nil {
		if _, err := os.Stat(b.current.Name()); errors.Is(err, fs.ErrNotExist) {
			b.end() // Nobody would ever read what is written to it.
		}
	}
	total := n
	b.files = slices.DeleteFunc(b.files, func(f boxFile) bool {
		_, err := os.Stat(f.name)
		return errors.Is(err, fs.ErrNotExist)
	})
	for _, f := range b.files {
		total += f.size
	}
	for b.limit > 0 && total > b.limit && len(b.files) > 0 {
		if len(b.files) == 1 {
			b.end()
		}
		oldest := b.files[0]
		b.files = b.files[1:]
		total -= oldest.size
		d := Dropped{File: oldest.name, Letters: unreplayed(oldest.name)}
		if d.Err = os.Remove(oldest.name); d.Err == nil {
			_ = os.Remove(oldest.name + replayedSuffix) // There may be none.
		}
		if b.dropped != nil {
			b.dropped(d)
		}
	}
}

// sum notes the size of all. b.mu is held.
func (b *Box) sum() {
	var total int64
	for _, f := range b.files {
		total += f.size
	}
	b.bytes.Store(total)
}

// unreplayed counts the letters of a file that were not sent again.
func unreplayed(name string) int {
	f, err := os.Open(name)
	if err != nil {
		return 0
	}
	defer f.Close()
	n := 0
	buf := make([]byte, 64<<10)
	for {
		k, err := f.Read(buf)
		n += bytes.Count(buf[:k], []byte{'\n'})
		if err != nil {
			if err != io.EOF {
				return 0
			}
			break
		}
	}
	if r, err := ReadReplayed(name); err == nil {
		n -= r.Count()
	}
	return max(n, 0)
}

// Close gives the directory back. It may be called without Open, and again.
func (b *Box) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end()
	f := b.lock
	b.lock = nil
	if f == nil {
		return nil
	}
	return f.Close()
}
