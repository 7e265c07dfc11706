package buffer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/filelock"
)

const (
	suffix  = ".chunk"
	partial = ".part"
	corrupt = "corrupt"

	lockFile = "lock" // held by the process that uses the directory
)

// Dir is a directory of chunk files. Its methods may be called from several
// goroutines, for one chunk from one at a time.
type Dir struct {
	path string
	sync bool
	lock *os.File // while open

	bytes  atomic.Int64
	chunks atomic.Int64
}

// Damage tells of a file that Scan found in disorder.
type Damage struct {
	Path   string // where the file is now
	Err    error
	Events int // rescued from it
	// Done says that nothing more can be rescued from the file: what is whole is
	// stored again, or nothing is.
	Done bool
}

// New returns the directory at path, which Open makes if it is missing. With
// sync every write reaches the disk (fsync) before it returns; without, it
// survives the death of the process but not that of the machine.
func New(path string, sync bool) *Dir { return &Dir{path: path, sync: sync} }

// Open makes the directory ready to be written to and takes it for this
// process until Close.
func (d *Dir) Open() error {
	if err := os.MkdirAll(d.path, 0o755); err != nil {
		return fmt.Errorf("make storage directory: %w", err)
	}
	// That this file can be made shows that others can.
	f, err := os.OpenFile(filepath.Join(d.path, lockFile), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write to storage directory: %w", err)
	}
	if err := filelock.Lock(f); err != nil {
		_ = f.Close()
		return fmt.Errorf("take storage directory %q: %w", d.path, err)
	}
	d.lock = f
	return nil
}

// Close gives the directory back. It may be called without Open, and again.
func (d *Dir) Close() error {
	f := d.lock
	d.lock = nil
	if f == nil {
		return nil
	}
	return f.Close()
}

// Bytes is the size of all chunk files in bytes.
func (d *Dir) Bytes() int64 { return d.bytes.Load() }

// Chunks is the number of chunk files.
func (d *Dir) Chunks() int64 { return d.chunks.Load() }

// file returns the name of a chunk's file. Names of inputs are escaped, as an
// alias may hold anything.
func (d *Dir) file(input string, id event.ChunkID) string {
	return filepath.Join(d.path, escape(input), id.String()+suffix)
}

func escape(input string) string {
	switch s := url.PathEscape(input); s {
	case "":
		return "%00"
	case ".", "..", corrupt, lockFile:
		// Escaping the first character is enough, and PathUnescape undoes it.
		return fmt.Sprintf("%%%02X", s[0]) + s[1:]
	default:
		return s
	}
}

// Write stores the chunk under the name of its input. When it returns nil the
// chunk is safe to the degree that New was asked for.
func (d *Dir) Write(input string, c *event.Chunk) error { return d.WriteFor(input, nil, c) }

// WriteFor is Write for a chunk that goes to certain outputs, whatever its tag is.
func (d *Dir) WriteFor(input string, outputs []string, c *event.Chunk) (err error) {
	name := d.file(input, c.ID)
	head := appendHead(nil, outputs, c)
	if len(head) > maxHeader {
		return fmt.Errorf("write chunk file: a tag of %d bytes is too long", len(c.Tag))
	}
	f, err := os.OpenFile(name+partial, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("make storage directory: %w", err)
		}
		if d.sync {
			if err = syncDir(d.path); err != nil {
				return err
			}
		}
		f, err = os.OpenFile(name+partial, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	}
	if err != nil {
		return fmt.Errorf("create chunk file: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(name + partial)
		}
	}()
	tail := binary.BigEndian.AppendUint32(nil, crc32.Checksum(c.Bytes(), castagnoli))
	for _, part := range [][]byte{head, c.Bytes(), tail} {
		if _, err = f.Write(part); err != nil {
			f.Close()
			return fmt.Errorf("write chunk file: %w", err)
		}
	}
	if d.sync {
		if err = f.Sync(); err != nil {
			f.Close()
			return fmt.Errorf("sync chunk file: %w", err)
		}
	}
	if err = f.Close(); err != nil {
		return fmt.Errorf("close chunk file: %w", err)
	}
	if err = os.Rename(name+partial, name); err != nil {
		return fmt.Errorf("name chunk file: %w", err)
	}
	if d.sync {
		if err = syncDir(filepath.Dir(name)); err != nil {
			return err
		}
	}
	d.bytes.Add(int64(len(head) + c.Size() + 4))
	d.chunks.Add(1)
	return nil
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open storage directory: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync storage directory: %w", err)
	}
	return nil
}

// Read loads a chunk with one holder.
func (d *Dir) Read(info Info) (*event.Chunk, error) {
	b, err := os.ReadFile(d.file(info.Input, info.ID))
	if err != nil {
		return nil, fmt.Errorf("read chunk file: %w", err)
	}
	head, at, err := parseHead(b)
	if err != nil {
		return nil, fmt.Errorf("read chunk file %s: %w", info.ID, err)
	}
	data, err := parseData(b, head, at)
	if err != nil {
		return nil, fmt.Errorf("read chunk file %s: %w", info.ID, err)
	}
	return event.NewChunk(info.ID, head.Tag, head.Signal, head.Count, data), nil
}

// Delete removes a chunk that nobody needs any more.
func (d *Dir) Delete(info Info) error {
	name := d.file(info.Input, info.ID)
	st, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // Set aside in the meantime.
	}
	if err == nil {
		err = os.Remove(name)
	}
	if err != nil {
		return fmt.Errorf("delete chunk file: %w", err)
	}
	d.bytes.Add(-st.Size())
	d.chunks.Add(-1)
	return nil
}

// SetAside moves a chunk file that cannot be used under corrupt.
func (d *Dir) SetAside(info Info) (string, error) {
	name := d.file(info.Input, info.ID)
	st, err := os.Stat(name)
	if err != nil {
		return name, fmt.Errorf("set corrupt chunk aside: %w", err)
	}
	to, err := d.setAside(name)
	if err == nil {
		d.bytes.Add(-st.Size())
		d.chunks.Add(-1)
	}
	return to, err
}

func (d *Dir) setAside(name string) (string, error) {
	dir := filepath.Join(d.path, corrupt)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return name, fmt.Errorf("make directory for corrupt chunks: %w", err)
	}
	to := unused(filepath.Join(dir, filepath.Base(filepath.Dir(name))+"."+filepath.Base(name)))
	if err := os.Rename(name, to); err != nil {
		return name, fmt.Errorf("set corrupt chunk aside: %w", err)
	}
	return to, nil
}

// Scan reads the heads of all chunk files, oldest first. It is called once,
// before anything is written. Damaged files are set aside, with what could be
// rescued of their entries stored as a chunk of its own; files that were not
// finished before a crash are removed, as their events were never
// acknowledged, so the source has them still. The error is about what could
// not be read or removed; the rest is found all the same.
func (d *Dir) Scan() (found []Info, damaged []Damage, err error) {
	inputs, err := os.ReadDir(d.path)
	if err != nil {
		return nil, nil, fmt.Errorf("list storage directory: %w", err)
	}
	var errs []error
	for _, in := range inputs {
		if !in.IsDir() || in.Name() == corrupt {
			continue
		}
		input, err := url.PathUnescape(in.Name())
		if err != nil || escape(input) != in.Name() {
			continue // Not ours.
		}
		files, err := os.ReadDir(filepath.Join(d.path, in.Name()))
		if err != nil {
			errs = append(errs, fmt.Errorf("list storage directory: %w", err))
		}
		for _, f := range files {
			name := filepath.Join(d.path, in.Name(), f.Name())
			if strings.HasSuffix(name, suffix+partial) {
				if err := os.Remove(name); err != nil {
					errs = append(errs, fmt.Errorf("remove unfinished chunk: %w", err))
				}
				continue
			}
			id, ok := event.ParseChunkID(strings.TrimSuffix(f.Name(), suffix))
			if !ok || !strings.HasSuffix(name, suffix) {
				continue
			}
			info, err := d.inspect(name, input, id)
			switch {
			case err == nil:
				found = append(found, info)
			case Damaged(err):
				dmg := d.recover(name, input, id, err)
				damaged = append(damaged, dmg.Damage)
				if dmg.info.Count > 0 {
					found = append(found, dmg.info)
				}
			default:
				errs = append(errs, err)
			}
		}
	}
	slices.SortFunc(found, func(a, b Info) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return found, damaged, errors.Join(errs...)
}

// inspect reads a file's head and checks its length; the data is checked when
// it is read.
func (d *Dir) inspect(name, input string, id event.ChunkID) (Info, error) {
	f, err := os.Open(name)
	if err != nil {
		return Info{}, fmt.Errorf("open chunk file: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Info{}, fmt.Errorf("stat chunk file: %w", err)
	}
	b, err := readHead(f)
	if err != nil {
		return Info{}, err
	}
	info, at, err := parseHead(b)
	if err != nil {
		return Info{}, err
	}
	info.ID, info.Input = id, input
	if st.Size() < int64(at)+int64(info.Size)+4 {
		return info, ErrTorn
	}
	d.bytes.Add(st.Size())
	d.chunks.Add(1)
	return info, nil
}

// readHead reads the beginning of a file up to its data, or less if it ends
// before.
func readHead(f io.Reader) ([]byte, error) {
	b := make([]byte, 512)
	n, err := io.ReadFull(f, b)
	if n >= 12 {
		if more := min(headLength(b), maxHeader) - n; more > 0 {
			b = append(b, make([]byte, more)...)
			var m int
			m, err = io.ReadFull(f, b[n:])
			n += m
		}
	}
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("read chunk file: %w", err)
	}
	return b[:n], nil
}

type recovered struct {
	Damage
	info Info
}

// recover sets a damaged file aside and stores what can be rescued of it.
func (d *Dir) recover(name, input string, id event.ChunkID, cause error) recovered {
	r := recovered{Damage: Damage{Path: name, Err: cause}}
	b, err := os.ReadFile(name)
	if err == nil {
		aside, err := d.setAside(name)
		if err != nil {
			r.Err = errors.Join(cause, err)
			return r // It is found again at the next start.
		}
		r.Path = aside
		info, at, err := parseHead(b)
		info.ID, info.Input = id, input
		r.Done = true
		if err == nil {
			data, _ := parseData(b, info, at)
			if c, err := rescue(info, data); err == nil {
				err := d.WriteFor(input, info.Outputs, c)
				r.Done = err == nil
				if err == nil {
					info.Count, info.Size = c.Count, c.Size()
					r.Events, r.info = c.Count, info
					if marked, err := markRescued(aside); err == nil {
						r.Path = marked
					}
				}
			}
		}
	}
	return r
}
