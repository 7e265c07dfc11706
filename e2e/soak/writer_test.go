package soak

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// writer appends numbered lines to a file and rotates it now and then, as an
// application and its logrotate do.
type writer struct {
	t    *testing.T
	name string // of the lines
	file string
	// rotate takes the file away, to a name with the number of the rotation.
	rotate func(f *os.File, to string) (*os.File, error)
	// begun tells whether the file with the first line of that number is known. If
	// set, it is not rotated before: what is born and rotated away while nobody
	// looks is in none of the paths.
	begun func(line int) bool

	written atomic.Int64
	rotated int
}

// byRename renames the file and makes a new one.
func byRename(f *os.File, to string) (*os.File, error) {
	name := f.Name()
	if err := f.Close(); err != nil {
		return nil, err
	}
	if err := os.Rename(name, to); err != nil {
		return nil, err
	}
	return os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
}

// byCopy copies the file and truncates it.
func byCopy(f *os.File, to string) (*os.File, error) {
	from, err := os.Open(f.Name())
	if err != nil {
		return nil, err
	}
	defer from.Close()
	copied, err := os.Create(to)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(copied, from); err != nil {
		return nil, err
	}
	if err := copied.Close(); err != nil {
		return nil, err
	}
	return f, f.Truncate(0)
}

// run writes until stop is closed: bursts of a few lines, the last of which may
// be finished only later, and pauses.
func (w *writer) run(rnd *rand.Rand, stop <-chan struct{}) {
	f, err := os.OpenFile(w.file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer func() { f.Close() }()
	n, first := 0, 0
	for {
		select {
		case <-stop:
			return
		case <-time.After(between(rnd, time.Millisecond, 20*time.Millisecond)):
		}
		var text strings.Builder
		for range 1 + rnd.IntN(30) {
			fmt.Fprintf(&text, "%s %d %s end\n", w.name, n, strings.Repeat("x", rnd.IntN(200)))
			n++
		}
		half := text.Len()
		if rnd.IntN(3) == 0 {
			half = rnd.IntN(text.Len())
		}
		for i, part := range []string{text.String()[:half], text.String()[half:]} {
			if i > 0 && part != "" {
				time.Sleep(between(rnd, 0, 5*time.Millisecond))
			}
			if _, err := f.WriteString(part); err != nil {
				w.t.Error(err)
				return
			}
		}
		w.written.Store(int64(n))
		if begun := w.begun == nil || w.begun(first); !begun || rnd.IntN(40) > 0 {
			continue
		}
		w.rotated++
		if f, err = w.rotate(f, fmt.Sprintf("%s.%d", w.file, w.rotated)); err != nil {
			w.t.Error(err)
			return
		}
		first = n
	}
}
