package pipetest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/pipetest"
)

// TestBadFiles: every file that is refused, with all of its messages.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.test.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	var b strings.Builder
	for _, path := range files {
		f, src, ps := pipetest.ReadFile(path, "", 0)
		if f != nil || !ps.HasErrors() {
			t.Errorf("%s was taken", path)
		}
		config.Render(&b, ps, src, false)
		b.WriteString("\n")
	}
	golden(t, "testdata/bad/want.txt", b.String())
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.conf", "a.test.yaml", "sub/b.yaml", "sub/b_test.yml", "c.conf.test.yaml", "c.conf", "plain.yaml", ".git/d.test.yaml"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	at := func(names ...string) string {
		var out []string
		for _, n := range names {
			out = append(out, filepath.Join(dir, n))
		}
		return strings.Join(out, " ")
	}
	got, err := pipetest.Find([]string{dir, filepath.Join(dir, "plain.yaml")})
	if want := at("a.test.yaml", "c.conf.test.yaml", "sub/b_test.yml", "plain.yaml"); err != nil || strings.Join(got, " ") != want {
		t.Errorf("Find: %q, %v, want %q", got, err, want)
	}
	for file, want := range map[string]string{"a.test.yaml": "a.conf", "sub/b_test.yml": "sub/b.yaml", "c.conf.test.yaml": "c.conf"} {
		if got := pipetest.Beside(at(file)); got != at(want) {
			t.Errorf("Beside(%s) = %q, want %s", file, got, want)
		}
		if got := pipetest.TestsOf(at(want)); strings.Join(got, " ") != at(file) {
			t.Errorf("TestsOf(%s) = %q, want %s", want, got, file)
		}
	}
	if got := pipetest.Beside(at("plain.yaml")) + pipetest.Beside(at("z.test.yaml")); got != "" {
		t.Errorf("a configuration was found: %s", got)
	}
	for _, bad := range []string{at("nothing"), at(".git/../sub/../.git/e"), t.TempDir()} {
		if got, err := pipetest.Find([]string{bad}); err == nil {
			t.Errorf("Find(%s) = %v without an error", bad, got)
		}
	}
	if got := pipetest.NameFor("x/app.conf"); got != "x/app.test.yaml" {
		t.Errorf("NameFor: %s", got)
	}
}

func TestFlagsOfACall(t *testing.T) {
	f, _, ps := pipetest.ReadFile("testdata/run/pair/app_test.yaml", "other.conf", 3)
	if f == nil {
		t.Fatal(ps.Err())
	}
	if f.Tests[0].Config != "other.conf" || f.Tests[0].Timeout != 3 {
		t.Errorf("configuration %s, timeout %v", f.Tests[0].Config, f.Tests[0].Timeout)
	}
}

// FuzzReadFile: no content makes the reader crash, and what it takes has all
// that a test needs.
func FuzzReadFile(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*test.yaml")
	if err != nil {
		f.Fatal(err)
	}
	more, err := filepath.Glob("testdata/*/*/*test.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(files, more...) {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	path := filepath.Join(f.TempDir(), "fuzz.test.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		file, src, ps := pipetest.ReadFile(path, "", 0)
		config.Render(&strings.Builder{}, ps, src, true)
		if file == nil {
			if !ps.HasErrors() {
				t.Fatal("refused without a word")
			}
			return
		}
		for _, test := range file.Tests {
			if test.Name == "" || test.Config == "" || len(test.Inputs) == 0 || test.Timeout <= 0 || test.Pos == (option.Pos{}) {
				t.Fatalf("incomplete: %+v", test)
			}
		}
	})
}
