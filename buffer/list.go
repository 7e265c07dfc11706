package buffer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kagarilog/kagari/event"
)

// rescued is behind the name of a file under corrupt of which what is whole has
// been stored again.
const rescued = ".rescued"

// File is a chunk file that List has found.
type File struct {
	Path string
	// Info is what the header says; of a damaged one only ID, Input and Created.
	Info  Info
	Bytes int64 // size of the file
	Err   error // nil, or what is wrong with the header or the length
	Aside bool  // under corrupt
}

// Listing is what is in a directory.
type Listing struct {
	Files      []File   // oldest first
	Aside      []File   // set aside, of which nothing was rescued yet
	Unfinished []string // not written to the end; the next Scan removes them
}

// List reads the heads of all chunk files below path. It changes nothing, and
// another process may work there: what vanishes meanwhile is left out.
func List(path string) (l Listing, err error) {
	inputs, err := os.ReadDir(path)
	if err != nil {
		return l, fmt.Errorf("list storage directory: %w", err)
	}
	for _, in := range inputs {
		if !in.IsDir() {
			continue
		}
		input, err := url.PathUnescape(in.Name())
		aside := in.Name() == corrupt
		if !aside && (err != nil || escape(input) != in.Name()) {
			continue // Not ours.
		}
		entries, err := os.ReadDir(filepath.Join(path, in.Name()))
		if err != nil {
			return l, fmt.Errorf("list storage directory: %w", err)
		}
		for _, e := range entries {
			name := filepath.Join(path, in.Name(), e.Name())
			if strings.HasSuffix(name, suffix+partial) {
				l.Unfinished = append(l.Unfinished, name)
				continue
			}
			f, ok, err := Stat(name)
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case err != nil:
				return l, err
			case ok && aside:
				l.Aside = append(l.Aside, f)
			case ok:
				l.Files = append(l.Files, f)
			}
		}
	}
	for _, files := range [][]File{l.Files, l.Aside} {
		slices.SortFunc(files, func(a, b File) int { return bytes.Compare(a.Info.ID[:], b.Info.ID[:]) })
	}
	return l, nil
}

// Stat reads the head of the file with that name, which tells the input as well.
// It returns false if it is not the name of a chunk file.
func Stat(name string) (f File, ok bool, err error) {
	base, isChunk := strings.CutSuffix(filepath.Base(name), suffix)
	folder := filepath.Base(filepath.Dir(name))
	if !isChunk {
		return f, false, nil
	}
	f = File{Path: name, Aside: folder == corrupt}
	if i := strings.LastIndexByte(base, '.'); f.Aside && i >= 0 {
		folder, base = base[:i], base[i+1:]
	}
	if f.Info.ID, ok = event.ParseChunkID(base); !ok {
		return f, false, nil
	}
	if f.Info.Input, err = url.PathUnescape(folder); err != nil {
		f.Info.Input = folder
	}
	id, input := f.Info.ID, f.Info.Input
	f.Info.Created = id.Created()
	file, err := os.Open(name)
	if err != nil {
		return f, true, fmt.Errorf("open chunk file: %w", err)
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return f, true, fmt.Errorf("stat chunk file: %w", err)
	}
	f.Bytes = st.Size()
	head, err := readHead(file)
	if err != nil {
		return f, true, err
	}
	info, at, err := parseHead(head)
	if err != nil {
		f.Err = err
		return f, true, nil
	}
	info.ID, info.Input = id, input
	f.Info = info
	if f.Bytes < int64(at)+int64(info.Size)+4 {
		f.Err = ErrTorn
	}
	return f, true, nil
}

// Load reads the file and checks all of it. Where the error is one of damage
// (see Damaged) the chunk holds what is whole, or is nil if nothing is. tag is
// for a file whose header does not tell it; without one nothing of that is read.
func Load(f File, tag string) (*event.Chunk, error) {
	b, err := os.ReadFile(f.Path)
	if err != nil {
		return nil, fmt.Errorf("read chunk file: %w", err)
	}
	info, at, cause := parseHead(b)
	if cause == nil {
		data, err := parseData(b, info, at)
		c := event.NewChunk(f.Info.ID, info.Tag, info.Signal, info.Count, data)
		if err == nil && (info.Signal != event.Logs || countEvents(c) == info.Count) {
			return c, nil
		}
		cause, b = ErrData, data
		if err != nil {
			cause = err
		}
	} else {
		if tag == "" {
			return nil, cause
		}
		info = Info{Tag: tag}
	}
	c, err := rescue(Info{ID: f.Info.ID, Tag: info.Tag, Signal: info.Signal}, b)
	if err != nil {
		c = nil
	}
	return c, cause
}

// countEvents is the number of whole events, or -1 if there is something else.
func countEvents(c *event.Chunk) (n int) {
	cur := c.Cursor()
	for cur.Next() {
		n++
	}
	if cur.Err() != nil {
		return -1
	}
	return n
}

// Repair stores what is whole of a damaged file as a chunk of its own and keeps
// the file under corrupt. The directory is open. tag is for a file whose header
// does not tell it, or empty. The error is that of the disk.
func (d *Dir) Repair(f File, tag string) (Damage, error) {
	r := Damage{Path: f.Path}
	c, err := Load(f, tag)
	if err == nil && !f.Aside {
		return r, nil
	}
	r.Err = err
	if err != nil && !Damaged(err) {
		return r, err
	}
	if !f.Aside {
		if r.Path, err = d.setAside(f.Path); err != nil {
			return r, err
		}
	}
	if c == nil {
		return r, nil
	}
	if err := d.WriteFor(f.Info.Input, f.Info.Outputs, c); err != nil {
		return r, err
	}
	r.Events = c.Count
	if r.Path, err = markRescued(r.Path); err != nil {
		return r, err
	}
	return r, nil
}

// markRescued notes that what is whole of a file under corrupt is stored again.
func markRescued(name string) (string, error) {
	to := unused(name + rescued)
	if err := os.Rename(name, to); err != nil {
		return name, fmt.Errorf("mark rescued chunk: %w", err)
	}
	return to, nil
}

// unused is the name, or with a number behind it if there is such a file: what
// is set aside is never overwritten.
func unused(name string) string {
	free := name
	for n := 2; ; n++ {
		if _, err := os.Lstat(free); err != nil {
			return free
		}
		free = fmt.Sprintf("%s.%d", name, n)
	}
}
