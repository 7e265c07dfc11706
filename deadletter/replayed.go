package deadletter

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/kagarilog/kagari/internal/filelock"
)

// replayedSuffix is behind the name of a file of letters in that of what is
// remembered of it.
const replayedSuffix = ".replayed"

// Replayed remembers which letters of a file were sent again. It lives beside
// the file; a letter counts when its id stands there in a whole line.
type Replayed struct {
	file *os.File // nil: only read
	ids  map[string]struct{}
}

// OpenReplayed reads what is remembered of the file of letters at path and
// makes ready to add to it. One process may have it open at a time; for others
// the error is filelock.ErrInUse.
func OpenReplayed(path string) (*Replayed, error) {
	f, err := os.OpenFile(path+replayedSuffix, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open what is remembered of replays: %w", err)
	}
	r := &Replayed{file: f}
	if err := filelock.Lock(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("take %q: %w", f.Name(), err)
	}
	whole, err := r.load(path)
	if err == nil {
		// The rest of a line that a crash has left must not become part of the next.
		err = f.Truncate(whole)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("read what is remembered of replays: %w", err)
	}
	return r, nil
}

// ReadReplayed is OpenReplayed without adding.
func ReadReplayed(path string) (*Replayed, error) {
	r := &Replayed{}
	if _, err := r.load(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read what is remembered of replays: %w", err)
	}
	return r, nil
}

// load reads the ids and returns where the whole lines end.
func (r *Replayed) load(path string) (whole int64, err error) {
	r.ids = map[string]struct{}{}
	b, err := os.ReadFile(path + replayedSuffix)
	if err != nil {
		return 0, err
	}
	b = b[:bytes.LastIndexByte(b, '\n')+1]
	for id := range bytes.Lines(b) {
		r.ids[string(bytes.TrimSuffix(id, []byte("\n")))] = struct{}{}
	}
	return int64(len(b)), nil
}

// Has tells whether the letter was sent again.
func (r *Replayed) Has(id string) bool {
	_, ok := r.ids[id]
	return ok
}

// Count is how many letters are remembered.
func (r *Replayed) Count() int { return len(r.ids) }

// Add remembers letters. When it returns nil that is safe on disk.
func (r *Replayed) Add(ids []string) error {
	var b []byte
	for _, id := range ids {
		if r.Has(id) {
			continue
		}
		b = append(append(b, id...), '\n')
		r.ids[id] = struct{}{}
	}
	if len(b) == 0 {
		return nil
	}
	if _, err := r.file.Write(b); err != nil {
		return fmt.Errorf("remember what was replayed: %w", err)
	}
	if err := r.file.Sync(); err != nil {
		return fmt.Errorf("remember what was replayed: %w", err)
	}
	return nil
}

// Close gives the file back. If nothing is remembered it is removed.
func (r *Replayed) Close() error {
	if r.file == nil {
		return nil
	}
	if len(r.ids) == 0 {
		_ = os.Remove(r.file.Name()) // An empty one does no harm.
	}
	return r.file.Close()
}

// Remove deletes a file of letters and what is remembered of it.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove dead letters: %w", err)
	}
	if err := os.Remove(path + replayedSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what is remembered of replays: %w", err)
	}
	return nil
}
