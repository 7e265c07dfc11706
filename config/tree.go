package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// Format is the syntax of a configuration file.
type Format uint8

// The formats.
const (
	Classic Format = iota
	YAML
)

// FormatOf tells the format of a file by its extension, as Fluent Bit does:
// .yaml and .yml are YAML, everything else is the classic format.
func FormatOf(path string) Format {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml":
		return YAML
	}
	return Classic
}

// Tree is a file and everything that it includes, as written: variables are
// not expanded and no option is looked at yet.
type Tree struct {
	Format  Format
	Path    string
	Sources *Sources

	sections []*section
	vars     []variable
	tail     []string // comment lines after the last section
}

// kind is what a section is for.
type kind uint8

const (
	kindOther kind = iota
	kindService
	kindParser
	kindMultilineParser
	kindStreamProcessor
	kindPlugins
	kindUpstreamServers
	kindCustom
	kindInput
	kindFilter
	kindOutput
	kindExtensions
)

// section is one section of the classic format or one entry of a YAML list.
type section struct {
	name  string // as written
	kind  kind
	pos   option.Pos
	body  []pair
	notes []string // comment lines above it

	broken bool // a mistake inside it was reported
}

// variable is a setting of @SET or of the env section.
type variable struct {
	name, value string
	meta        bool // @SET, of which mistakes are ignored
	pos         option.Pos
	notes       []string
}

// kindNames are the section names in the order in which Fluent Bit tries them:
// any beginning of a name stands for it.
var kindNames = []struct {
	name string
	kind kind
}{
	{"service", kindService},
	{"parser", kindParser},
	{"multiline_parser", kindMultilineParser},
	{"stream_processor", kindStreamProcessor},
	{"plugins", kindPlugins},
	{"upstream_servers", kindUpstreamServers},
	{"customs", kindCustom},
	{"inputs", kindInput},
	{"filters", kindFilter},
	{"outputs", kindOutput},
}

// kindOf finds the kind of a section of the classic format by its name. full
// is the whole name if only its beginning was given.
func kindOf(name string) (k kind, full string) {
	for _, kn := range kindNames {
		if name != "" && len(name) <= len(kn.name) && strings.EqualFold(name, kn.name[:len(name)]) {
			// An upstream is also the name of a section in files of its own.
			if singular := strings.TrimSuffix(kn.name, "s"); len(name) < len(singular) && !strings.EqualFold(name, "upstream") {
				full = singular
			}
			return kn.kind, full
		}
	}
	return kindOther, ""
}

// reader reads files into a tree.
type reader struct {
	tree  *Tree
	ps    *option.Problems
	root  string // the directory of the main file
	files []os.FileInfo
	texts []string // paths of YAML files as spelled, to find double includes
	stack []os.FileInfo

	service bool // a YAML service section was seen
}

// ReadTree reads a file and what it includes. The tree is never nil; what
// could not be understood is in the problems and left out.
func ReadTree(path string) (*Tree, option.Problems) {
	var ps option.Problems
	tree := readTree(path, &Sources{}, &ps)
	return tree, ps
}

func readTree(path string, src *Sources, ps *option.Problems) *Tree {
	return readFile(path, option.Pos{}, mainFile, src, ps)
}

// readFile reads a file with all that it includes; at is the place that asks
// for it and what names it in messages.
func readFile(path string, at option.Pos, what string, src *Sources, ps *option.Problems) *Tree {
	r := &reader{tree: &Tree{Format: FormatOf(path), Path: path, Sources: src}, ps: ps, root: includeDir(path)}
	if r.tree.Format == YAML {
		r.yamlFile(path, at, what)
	} else {
		r.classicFile(path, at, what)
	}
	return r.tree
}

// includeDir is the directory for relative paths in a file: the one of the
// file after symbolic links, written as shortly as the path was given.
func includeDir(path string) string {
	real, dir := realDir(path), filepath.Dir(path)
	if abs, err := filepath.Abs(dir); err == nil && abs == real {
		return dir
	}
	return real
}

// realDir is the directory of a file after symbolic links.
func realDir(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return filepath.Dir(path)
}

func (r *reader) report(sev option.Severity, pos option.Pos, fix, format string, args ...any) {
	*r.ps = append(*r.ps, option.Problem{Severity: sev, Pos: pos, Message: fmt.Sprintf(format, args...), Fix: fix})
}

func (r *reader) fail(pos option.Pos, fix, format string, args ...any) {
	r.report(option.Error, pos, fix, format, args...)
}

func (r *reader) warn(pos option.Pos, fix, format string, args ...any) {
	r.report(option.Warning, pos, fix, format, args...)
}

// seen tells whether one of infos is the same file.
func seen(infos []os.FileInfo, fi os.FileInfo) bool {
	for _, other := range infos {
		if os.SameFile(other, fi) {
			return true
		}
	}
	return false
}

// open reads the text of a file; at is the place that asks for it.
func (r *reader) open(path string, at option.Pos, what string) ([]byte, bool) {
	text, err := r.tree.Sources.read(path)
	switch {
	case err == errDirectory && what != mainFile:
		// A pattern may well find one.
		r.warn(at, "", "%s %q: %v", what, path, err)
		return nil, false
	case err != nil:
		r.fail(at, "", "%s", fileError(what, path, err))
		return nil, false
	}
	return text, true
}

// Sections returns the sections in the order written, with the properties as
// written.
func (t *Tree) Sections() []plugin.Section {
	out := make([]plugin.Section, 0, len(t.sections))
	for _, s := range t.sections {
		out = append(out, plugin.Section{Name: s.name, Props: rawProps(s.body), Pos: s.pos})
	}
	return out
}

// rawProps converts pairs without expanding variables.
func rawProps(pairs []pair) []option.Property {
	out := make([]option.Property, 0, len(pairs))
	for _, p := range pairs {
		out = append(out, option.Property{Key: p.key.text, Value: rawValue(p.val), Pos: p.key.pos})
	}
	return out
}

func rawValue(n node) option.Value {
	v := option.Value{Shape: n.shape, Text: n.text, Pos: n.pos}
	for _, item := range n.items {
		v.Items = append(v.Items, rawValue(item))
	}
	if n.shape == option.Map {
		v.Props = rawProps(n.pairs)
	}
	return v
}

// get returns the first value of a key, ignoring case.
func (n node) get(key string) (pair, bool) { return find(n.pairs, key) }

func find(pairs []pair, key string) (pair, bool) {
	for _, p := range pairs {
		if strings.EqualFold(p.key.text, key) {
			return p, true
		}
	}
	return pair{}, false
}
