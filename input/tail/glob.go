package tail

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// escapes says that a backslash in a pattern takes away the meaning of the
// character behind it. On Windows it separates directories.
const escapes = runtime.GOOS != "windows"

// pattern is one element of the option Path, in the syntax of glob(7).
type pattern struct {
	text     string
	root     string   // what the first segment is looked for in: "", "/" or a volume
	segments []string // "" and "." stay in the paths that are found
}

func newPattern(text string) pattern {
	p := pattern{text: text}
	text = expandTilde(text)
	if runtime.GOOS == "windows" {
		text = filepath.ToSlash(text)
		p.root = filepath.VolumeName(text)
		text = text[len(p.root):]
	}
	if strings.HasPrefix(text, "/") {
		p.root += "/"
	}
	text = strings.TrimPrefix(text, "/")
	if text != "" {
		p.segments = strings.Split(text, "/")
	}
	return p
}

// expandTilde replaces ~ and ~user at the start of a path by the home
// directory, if it is known.
func expandTilde(path string) string {
	if !strings.HasPrefix(path, "~") {
		return path
	}
	name, rest, _ := strings.Cut(path[1:], "/")
	home := ""
	if name == "" {
		home, _ = os.UserHomeDir()
	} else if u, err := user.Lookup(name); err == nil {
		home = u.HomeDir
	}
	if home == "" {
		return path
	}
	return strings.TrimSuffix(home+"/"+rest, "/")
}

// expand returns the existing paths that match, in the order of their bytes,
// and the directories in which more might appear. Directories that cannot be
// read are left out; the error names them.
func (p *pattern) expand() (paths, dirs []string, err error) {
	var errs []error
	var walk func(prefix string, segments []string)
	walk = func(prefix string, segments []string) {
		segment, last := segments[0], len(segments) == 1
		if last {
			dirs = append(dirs, dirOf(prefix))
		}
		if !hasMeta(segment) {
			path := prefix + unescape(segment)
			if !last {
				walk(path+"/", segments[1:])
			} else if _, err := os.Lstat(path); err == nil {
				paths = append(paths, path)
			}
			return
		}
		names, err := readNames(dirOf(prefix))
		if err != nil {
			errs = append(errs, err)
			return
		}
		for _, name := range names {
			if !match(segment, name, true) {
				continue
			}
			if last {
				paths = append(paths, prefix+name)
			} else if st, err := os.Stat(prefix + name); err == nil && st.IsDir() {
				walk(prefix+name+"/", segments[1:])
			}
		}
	}
	if len(p.segments) > 0 {
		walk(p.root, p.segments)
	}
	slices.Sort(paths)
	return paths, dirs, errors.Join(errs...)
}

// find tells whether a cleaned path matches and returns it in the form in which
// expand would give it, with the superfluous parts that the pattern has.
func (p *pattern) find(path string) (string, bool) {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, p.root) || p.root == "" && strings.HasPrefix(path, "/") {
		return "", false
	}
	found := p.root
	path, more := path[len(p.root):], true
	for i, segment := range p.segments {
		if i > 0 {
			found += "/"
		}
		if segment == "" || segment == "." {
			found += segment
			continue
		}
		var name string
		if !more {
			return "", false
		}
		name, path, more = strings.Cut(path, "/")
		if !match(segment, name, true) {
			return "", false
		}
		found += name
	}
	return found, !more
}

// dirOf turns the part of a path up to a slash into the directory it names.
func dirOf(prefix string) string {
	switch {
	case prefix == "":
		return "."
	case prefix == "/" || strings.HasSuffix(prefix, ":/"):
		return prefix
	}
	return strings.TrimSuffix(prefix, "/")
}

// readNames lists a directory; one that is not there, or is none, is empty.
func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if st, err := d.Stat(); err == nil && !st.IsDir() {
		return nil, nil
	}
	return d.Readdirnames(-1)
}

func hasMeta(segment string) bool {
	return strings.ContainsAny(segment, "*?[")
}

func unescape(segment string) string {
	if !escapes || strings.IndexByte(segment, '\\') < 0 {
		return segment
	}
	var b strings.Builder
	for i := 0; i < len(segment); i++ {
		if segment[i] == '\\' && i+1 < len(segment) {
			i++
		}
		b.WriteByte(segment[i])
	}
	return b.String()
}

// match compares name with a shell pattern byte by byte, as fnmatch(3) without
// flags does: wildcards match slashes. With hidden set a dot at the start must
// be in the pattern as itself (FNM_PERIOD).
func match(pattern, name string, hidden bool) bool {
	if hidden && strings.HasPrefix(name, ".") && !strings.HasPrefix(pattern, ".") && !strings.HasPrefix(pattern, `\.`) {
		return false
	}
	// After a mismatch, the last star takes one byte more.
	star, from := -1, 0
	p, n := 0, 0
	for n < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			star, from = p, n
			p++
			continue
		}
		if width, ok := matchOne(pattern[p:], name[n]); ok {
			p += width
			n++
			continue
		}
		if star < 0 {
			return false
		}
		from++
		p, n = star+1, from
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne compares c with the first element of pattern, no star, and returns
// the element's length.
func matchOne(pattern string, c byte) (width int, ok bool) {
	if pattern == "" {
		return 0, false
	}
	switch first := pattern[0]; {
	case first == '?':
		return 1, true
	case first == '[':
		if width, ok := matchBracket(pattern, c); width > 0 {
			return width, ok
		}
		return 1, c == '['
	case first == '\\' && escapes && len(pattern) > 1:
		return 2, c == pattern[1]
	default:
		return 1, c == first
	}
}

// matchBracket compares c with the bracket expression at the start of pattern.
// The width is 0 if it is not closed and the [ stands for itself.
func matchBracket(pattern string, c byte) (width int, ok bool) {
	i := 1
	negate := i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^')
	if negate {
		i++
	}
	for first := i; i < len(pattern); {
		if pattern[i] == ']' && i > first {
			return i + 1, ok != negate
		}
		if strings.HasPrefix(pattern[i:], "[:") {
			if name, _, closed := strings.Cut(pattern[i+2:], ":]"); closed {
				ok = ok || inClass(name, c)
				i += len(name) + 4
				continue
			}
		}
		low, next := bracketByte(pattern, i)
		high := low
		if next+1 < len(pattern) && pattern[next] == '-' && pattern[next+1] != ']' {
			high, next = bracketByte(pattern, next+1)
		}
		ok = ok || low <= c && c <= high
		i = next
	}
	return 0, false
}

// bracketByte returns the byte at offset i of a bracket expression and the
// offset behind it.
func bracketByte(pattern string, i int) (c byte, next int) {
	if pattern[i] == '\\' && escapes && i+1 < len(pattern) {
		i++
	}
	return pattern[i], i + 1
}

// inClass tells whether c is in a character class of the C locale.
func inClass(name string, c byte) bool {
	lower, upper, digit := 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9'
	switch name {
	case "alnum":
		return lower || upper || digit
	case "alpha":
		return lower || upper
	case "blank":
		return c == ' ' || c == '\t'
	case "cntrl":
		return c < ' ' || c == 0x7f
	case "digit":
		return digit
	case "graph":
		return '!' <= c && c <= '~'
	case "lower":
		return lower
	case "print":
		return ' ' <= c && c <= '~'
	case "punct":
		return '!' <= c && c <= '~' && !lower && !upper && !digit
	case "space":
		return c == ' ' || '\t' <= c && c <= '\r'
	case "upper":
		return upper
	case "xdigit":
		return digit || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
	}
	return false
}
