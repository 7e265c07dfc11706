package buffer

import (
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
)

const (
	suffix  = ".chunk"
	partial = ".part"
	corrupt = "corrupt"
)

// Dir is a directory of chunk files. Its methods may be called from several
// goroutines, for one chunk from one at a time.
type Dir struct {
	path string
	sync bool

	bytes  atomic.Int64
	chunks atomic.Int64
}

// Damage tells of a file that Scan found in disorder.
type Damage struct {
	Path   string // where the file is now
	Err    error
	Events int // rescued from it
}

// Open returns the directory at path, which is made if missing. With sync every
// write reaches the disk (fsync) before it returns; without, it survives the
// death of the process but not that of the machine.
func Open(path string, sync bool) (*Dir, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("make storage directory: %w", err)
	}
	return &Dir{path: path, sync: sync}, nil
}

// Bytes is the size of all chunk files in bytes, Chunks their number.
func (d *Dir) Bytes() int64  { return d.bytes.Load() }
func (d *Dir) Chunks() int64 { return d.chunks.Load() }

// file returns the name of a chunk's file. Names of inputs are escaped, as an
// alias may hold anything.
func (d *Dir) file(input string, id event.ChunkID) string {
	return filepath.Join(d.path, escape(input), id.String()+suffix)
}

func escape(input string) string {
	if s := url.PathEscape(input); s != "." && s != ".." && s != corrupt && s != "" {
		return s
	}
	return "%" + fmt.Sprintf("%x", input)
}

// Write stores the chunk under the name of its input. When it returns nil the
// chunk is safe to the degree that Open was asked for.
func (d *Dir) Write(input string, c *event.Chunk) (err error) {
	name := d.file(input, c.ID)
	head := appendHead(nil, c)
	f, err := os.OpenFile(name+partial, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("make storage directory: %w", err)
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
	d.chunks.Add(-1)
	return d.setAside(name)
}

func (d *Dir) setAside(name string) (string, error) {
	dir := filepath.Join(d.path, corrupt)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return name, fmt.Errorf("make directory for corrupt chunks: %w", err)
	}
	to := filepath.Join(dir, filepath.Base(filepath.Dir(name))+"."+filepath.Base(name))
	if err := os.Rename(name, to); err != nil {
		return name, fmt.Errorf("set corrupt chunk aside: %w", err)
	}
	return to, nil
}

// Scan reads the heads of all chunk files, oldest first. It is called once,
// before anything is written. Damaged files are set aside, with what could be
// rescued of their entries stored as a chunk of its own; files that were not
// finished before a crash are damaged too, but their events were never
// acknowledged, so the source has them still.
func (d *Dir) Scan() (found []Info, damaged []Damage, err error) {
	inputs, err := os.ReadDir(d.path)
	if err != nil {
		return nil, nil, fmt.Errorf("list storage directory: %w", err)
	}
	for _, in := range inputs {
		if !in.IsDir() || in.Name() == corrupt {
			continue
		}
		input, err := url.PathUnescape(in.Name())
		if err != nil {
			input = in.Name()
		}
		files, err := os.ReadDir(filepath.Join(d.path, in.Name()))
		if err != nil {
			return nil, nil, fmt.Errorf("list storage directory: %w", err)
		}
		for _, f := range files {
			name := filepath.Join(d.path, in.Name(), f.Name())
			if strings.HasSuffix(name, suffix+partial) {
				if err := os.Remove(name); err != nil {
					return nil, nil, fmt.Errorf("remove unfinished chunk: %w", err)
				}
				continue
			}
			id, ok := event.ParseChunkID(strings.TrimSuffix(f.Name(), suffix))
			if !ok || !strings.HasSuffix(name, suffix) {
				continue
			}
			info, err := d.inspect(name, input, id)
			if err != nil {
				dmg := d.recover(name, input, id, err)
				damaged = append(damaged, dmg.Damage)
				if dmg.info.Count > 0 {
					found = append(found, dmg.info)
				}
				continue
			}
			found = append(found, info)
		}
	}
	slices.SortFunc(found, func(a, b Info) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	return found, damaged, nil
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
	b := make([]byte, min(st.Size(), 64<<10))
	if _, err := io.ReadFull(f, b); err != nil {
		return Info{}, fmt.Errorf("read chunk file: %w", err)
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

type recovered struct {
	Damage
	info Info
}

// recover sets a damaged file aside and stores what can be rescued of it.
func (d *Dir) recover(name, input string, id event.ChunkID, cause error) recovered {
	r := recovered{Damage: Damage{Path: name, Err: cause}}
	b, err := os.ReadFile(name)
	if err == nil {
		if aside, err := d.setAside(name); err == nil {
			r.Path = aside
		}
		info, at, err := parseHead(b)
		info.ID, info.Input = id, input
		if err == nil {
			data, _ := parseData(b, info, at)
			if c, err := rescue(info, data); err == nil {
				if err := d.Write(input, c); err == nil {
					info.Count, info.Size = c.Count, c.Size()
					r.Events, r.info = c.Count, info
				}
			}
		}
	}
	return r
}
