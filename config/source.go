package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/kagarilog/kagari/option"
)

// Limits of what is read. Fluent Bit reads at most 1000 files as well.
const (
	maxFileSize  = 4 << 20
	maxTotalSize = 32 << 20
	maxFiles     = 1000
)

// Sources holds the text of every file that was read, for excerpts and for
// watching the files for changes. It does not change after Load.
type Sources struct {
	files map[string][]string // lines without their ends
	order []string
	size  int
}

// Files returns the paths of the files in the order of reading.
func (s *Sources) Files() []string {
	if s == nil {
		return nil
	}
	return s.order
}

// Line returns the line that p is on, without its end.
func (s *Sources) Line(p option.Pos) (string, bool) {
	if s == nil || p.Line < 1 || p.Line > len(s.files[p.File]) {
		return "", false
	}
	return s.files[p.File][p.Line-1], true
}

// mainFile is what messages call the file that everything begins with.
const mainFile = "configuration file"

// errDirectory says that a path is a directory. Fluent Bit takes it for an empty
// file, which we refuse only for the main file.
var errDirectory = errors.New("it is a directory, which counts as an empty file")

// read returns the content of a file and remembers its lines.
func (s *Sources) read(path string) ([]byte, error) {
	if len(s.order) >= maxFiles {
		return nil, fmt.Errorf("there are more than %d configuration files", maxFiles)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.IsDir() {
		return nil, errDirectory
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(text) > maxFileSize {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFileSize)
	}
	if err := s.add(path, text); err != nil {
		return nil, err
	}
	return text, nil
}

func (s *Sources) add(path string, text []byte) error {
	if s.size += len(text); s.size > maxTotalSize {
		return fmt.Errorf("the configuration files are larger than %d bytes together", maxTotalSize)
	}
	if s.files == nil {
		s.files = map[string][]string{}
	}
	lines := strings.Split(string(text), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSuffix(l, "\r")
	}
	s.files[path] = lines
	s.order = append(s.order, path)
	return nil
}

// locate finds a file as Fluent Bit does: the path as it stands, from the
// working directory, and if nothing is there, from dir.
func locate(path, dir string) string {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(path) && dir != "" {
		return filepath.Join(dir, path)
	}
	return path
}

// fileError says what is wrong with a file, without its name twice.
func fileError(what, path string, err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return fmt.Sprintf("%s %q cannot be read: %v", what, path, pe.Err)
	}
	if err == errDirectory {
		return fmt.Sprintf("%s %q is a directory", what, path)
	}
	return fmt.Sprintf("%s %q cannot be read: %v", what, path, err)
}

// globFiles returns the files that match a pattern, sorted. As in a shell and
// unlike filepath.Glob a leading dot is matched only by a dot, which matters
// for the "..data" links of Kubernetes volumes.
func globFiles(pattern string) []string {
	matches := []string{""}
	if filepath.IsAbs(pattern) {
		matches[0] = string(filepath.Separator)
	}
	for _, part := range strings.Split(filepath.ToSlash(pattern), "/") {
		if part == "" {
			continue
		}
		var next []string
		for _, dir := range matches {
			next = append(next, globDir(dir, part)...)
		}
		matches = next
		if len(matches) > maxFiles {
			break
		}
	}
	sort.Strings(matches)
	return matches
}

func globDir(dir, part string) []string {
	if !strings.ContainsAny(part, `*?[\`) {
		path := filepath.Join(dir, part)
		if _, err := os.Lstat(path); err != nil {
			return nil
		}
		return []string{path}
	}
	part = strings.ReplaceAll(part, "[!", "[^")
	look := dir
	if look == "" {
		look = "."
	}
	entries, err := os.ReadDir(look)
	if err != nil {
		return nil
	}
	var found []string
	for _, e := range entries {
		ok, err := filepath.Match(part, e.Name())
		if err != nil {
			ok = part == e.Name()
		}
		if ok && (e.Name()[0] != '.' || part[0] == '.') {
			found = append(found, filepath.Join(dir, e.Name()))
		}
	}
	return found
}
