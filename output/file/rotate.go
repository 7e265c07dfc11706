package file

import (
	"cmp"
	"compress/gzip"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	kgzip "github.com/klauspost/compress/gzip"
)

// rotation renames files that have become too large. The names of rotated
// files are those of Fluent Bit, so that either finds the other's:
//
//	app.log.20231114_221320_0a1b2c3d.gz
//	        local time      random
type rotation struct {
	log      *slog.Logger
	maxSize  int64
	maxFiles int
	gzip     bool
}

// check rotates the file if it is large enough. What goes wrong is logged; the
// records are then written to the old file and the next write tries again.
func (r *rotation) check(path string, now time.Time) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() < r.maxSize {
		return
	}
	var random [4]byte
	_, _ = rand.Read(random[:]) // crypto/rand.Read never fails
	rotated := path + "." + now.Format("20060102_150405") + "_" + hex.EncodeToString(random[:])
	if err := os.Rename(path, rotated); err != nil {
		r.log.Warn("the file could not be rotated", "file", path, "error", err)
		return
	}
	r.log.Info("the file was rotated", "file", path, "to", rotated)
	if r.gzip {
		if err := compress(rotated); err != nil {
			r.log.Warn("the rotated file stays as it is because it could not be compressed", "file", rotated, "error", err)
		}
	}
	if err := r.trim(path); err != nil {
		r.log.Warn("old rotated files could not be removed", "file", path, "error", err)
	}
}

// compress replaces a file by one with .gz behind its name.
func compress(path string) error {
	src, err := os.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(path+".gz", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	err = func() error {
		zw, err := kgzip.NewWriterLevel(dst, gzip.DefaultCompression)
		if err != nil {
			return err
		}
		if _, err := io.Copy(zw, src); err != nil {
			return err
		}
		return zw.Close()
	}()
	if closeErr := dst.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = os.Remove(path + ".gz")
		return fmt.Errorf("compress %q: %w", path, err)
	}
	return os.Remove(path)
}

// trim removes the oldest rotated files of path beyond the number to keep.
func (r *rotation) trim(path string) error {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	type old struct {
		name  string
		mtime time.Time
	}
	var olds []old
	for _, e := range entries {
		suffix, ok := strings.CutPrefix(e.Name(), base+".")
		if !ok || !isRotated(suffix) {
			continue
		}
		// A file that went away meanwhile needs no removal.
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			olds = append(olds, old{e.Name(), info.ModTime().Truncate(time.Second)})
		}
	}
	slices.SortFunc(olds, func(a, b old) int {
		return cmp.Or(a.mtime.Compare(b.mtime), strings.Compare(a.name, b.name))
	})
	for len(olds) > r.maxFiles {
		if err := os.Remove(filepath.Join(dir, olds[0].name)); err != nil {
			return err
		}
		olds = olds[1:]
	}
	return nil
}

// isRotated tells whether a suffix is one that check gives, or one of older
// versions of Fluent Bit, which had no random part.
func isRotated(suffix string) bool {
	suffix = strings.TrimSuffix(suffix, ".gz")
	if len(suffix) != len("20060102_150405") && len(suffix) != len("20060102_150405_01234567") {
		return false
	}
	for i := range len(suffix) {
		c := suffix[i]
		digit := c >= '0' && c <= '9'
		switch {
		case i == 8 || i == 15:
			if c != '_' {
				return false
			}
		case i < 15 && !digit:
			return false
		case i > 15 && !digit && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F'):
			return false
		}
	}
	return true
}
