package kagari_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/kagarilog/kagari/"

// layers says which of our packages a package may import; tests may import
// more. A name with a slash at its end stands for all packages below. The first
// rule that fits a package counts. DESIGN.md explains the layers.
var layers = []struct {
	pkg   string
	allow []string
}{
	{"event", nil},
	{"option", nil},
	{"regex", nil},
	{"internal/", []string{"option", "event", "internal/"}},
	{"parser/multiline", []string{"event", "option", "regex", "parser", "internal/timefmt"}},
	{"parser", []string{"event", "option", "regex", "internal/timefmt", "internal/cnum"}},
	{"plugin/plugintest", []string{"plugin", "event", "option", "parser", "parser/multiline"}},
	{"plugin", []string{"event", "option", "parser", "parser/multiline"}},
	{"input/", []string{"plugin", "event", "option", "parser", "parser/multiline", "regex", "internal/"}},
	{"filter/", []string{"plugin", "event", "option", "parser", "parser/multiline", "regex", "internal/"}},
	{"processor/", []string{"plugin", "event", "option", "parser", "regex", "internal/"}},
	{"output/", []string{"plugin", "event", "option", "parser", "regex", "internal/"}},
	{"buffer", []string{"event", "internal/filelock"}},
	{"deadletter", []string{"event", "internal/filelock"}},
	{"stream", []string{"event", "option", "regex"}},
	{"store", []string{"event"}},
	{"config", []string{"option", "plugin", "regex"}},
	{"engine", []string{"event", "option", "plugin", "config", "buffer", "deadletter", "stream", "parser", "parser/multiline", "regex", "internal/logging", "internal/cnum", "internal/otlpmeta"}},
	{"firelens", []string{"config", "option"}},
	{"admin", []string{"plugin"}},
	{"admin/", []string{"admin", "plugin"}},
	{"web", []string{"plugin"}},
	{"pipetest", []string{"engine", "config", "plugin", "event", "option", "parser", "parser/multiline", "regex", "internal/logging", "input/tail"}},
	{"builtin", []string{"plugin", "input/", "filter/", "processor/", "output/"}},
	{"cmd/", []string{""}},
	{"bench", []string{"regex", "internal/"}},
	{"conformance", nil},
	{"e2e", nil},
	{"e2e/soak", nil},
}

// TestLayers reads the imports of every file and fails on one that the table
// above does not allow.
func TestLayers(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		if pkg == "." {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imported, ours := strings.CutPrefix(name, module)
			if !ours || imported == pkg {
				continue
			}
			if allow, known := allowed(pkg); !known {
				t.Errorf("%s: no rule says what package %s may import; add one to the table in imports_test.go", path, pkg)
			} else if !covers(allow, imported) {
				t.Errorf("%s: package %s must not import %s; it may import only %q", path, pkg, imported, allow)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func allowed(pkg string) (allow []string, known bool) {
	for _, l := range layers {
		if covers([]string{l.pkg}, pkg) {
			return l.allow, true
		}
	}
	return nil, false
}

// covers tells whether one of the names is the package or a folder above it.
func covers(names []string, pkg string) bool {
	for _, n := range names {
		if n == "" || n == pkg || strings.HasSuffix(n, "/") && strings.HasPrefix(pkg+"/", n) {
			return true
		}
	}
	return false
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		name, pkg string
		want      bool
	}{
		{"event", "event", true}, {"event", "events", false}, {"input/", "input/tail", true},
		{"input/", "inputs", false}, {"", "anything", true}, {"config", "config/x", false},
	} {
		if got := covers([]string{c.name}, c.pkg); got != c.want {
			t.Errorf("covers(%q, %q) = %v, want %v", c.name, c.pkg, got, c.want)
		}
	}
}
