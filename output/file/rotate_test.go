package file

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

// rotated returns the rotated files of dir/o.
func rotated(t *testing.T, dir string) (files []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "o" {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files
}

func TestALargeFileIsRotatedBeforeTheNextWrite(t *testing.T) {
	dir := t.TempDir()
	o := plugintest.NewOutput(t, Def(), plugintest.Env(t), "path", dir, "file", "o", "format", "plain",
		"rotate", "on", "rotate_max_size", "100", "rotate_gzip", "off")
	big := plugintest.Chunk(t, "t", `{"a":"`+strings.Repeat("x", 100)+`"}`)
	send(t, o, big)
	if files := rotated(t, dir); len(files) != 0 {
		t.Fatalf("the file was rotated too early: %q", files)
	}
	send(t, o, plugintest.Chunk(t, "t", `{"b":1}`))
	files := rotated(t, dir)
	if len(files) != 1 || !regexp.MustCompile(`/o\.\d{8}_\d{6}_[0-9a-f]{8}$`).MatchString(files[0]) {
		t.Fatalf("the rotated files are %q", files)
	}
	if got := read(t, files[0]); len(got) != 109 {
		t.Errorf("the rotated file holds %q", got)
	}
	if got := read(t, dir, "o"); got != "{\"b\":1}\n" {
		t.Errorf("the new file holds %q", got)
	}
}

func TestRotatedFilesAreCompressed(t *testing.T) {
	dir := t.TempDir()
	o := plugintest.NewOutput(t, Def(), plugintest.Env(t), "path", dir, "file", "o", "format", "plain",
		"rotate", "on", "rotate_max_size", "1")
	for range 2 {
		send(t, o, plugintest.Chunk(t, "t", `{"b":1}`))
	}
	files := rotated(t, dir)
	if len(files) != 1 || !strings.HasSuffix(files[0], ".gz") {
		t.Fatalf("the rotated files are %q", files)
	}
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(zr); err != nil || string(got) != "{\"b\":1}\n" {
		t.Errorf("the compressed file holds %q, error %v", got, err)
	}
}

func TestOldRotatedFilesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "o.20200101_000000")
	foreign := filepath.Join(dir, "o.20200101_000000.bak")
	for _, path := range []string{old, foreign} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	o := plugintest.NewOutput(t, Def(), plugintest.Env(t), "path", dir, "file", "o", "format", "plain",
		"rotate", "on", "rotate_max_size", "1", "rotate_max_files", "2")
	for range 5 {
		send(t, o, plugintest.Chunk(t, "t", `{"b":1}`))
	}
	files := rotated(t, dir)
	if len(files) != 3 {
		t.Errorf("these files are left: %q, expected two rotated ones and a foreign one", files)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the oldest file is still there")
	}
}

func TestWhatCannotBeRotatedIsWrittenOn(t *testing.T) {
	env, log := plugintest.LoggedEnv(t)
	dir := t.TempDir()
	o := plugintest.NewOutput(t, Def(), env, "path", dir, "file", "o", "format", "plain",
		"rotate", "on", "rotate_max_size", "1")
	send(t, o, plugintest.Chunk(t, "t", `{"b":1}`))
	// Renaming fails for a name that becomes too long.
	long := strings.Repeat("n", 250)
	o = plugintest.NewOutput(t, Def(), env, "path", dir, "file", long, "format", "plain",
		"rotate", "on", "rotate_max_size", "1")
	for range 2 {
		send(t, o, plugintest.Chunk(t, "t", `{"b":1}`))
	}
	if got := read(t, dir, long); strings.Count(got, "\n") != 2 {
		t.Errorf("the file holds %q, expected two lines", got)
	}
	if !strings.Contains(log.String(), "could not be rotated") {
		t.Error("nothing was logged about it")
	}
}

func TestIsRotated(t *testing.T) {
	f := func(suffix string, want bool) {
		t.Helper()
		if got := isRotated(suffix); got != want {
			t.Errorf("isRotated(%q) = %v", suffix, got)
		}
	}
	f("20231114_221320_0a1b2c3D", true)
	f("20231114_221320_0a1b2c3d.gz", true)
	f("20231114_221320", true)
	f("20231114_221320.gz", true)
	f("20231114_221320_0a1b2c3", false)
	f("20231114-221320", false)
	f("20231114_221320_0a1b2c3g", false)
	f("20231114_221320x0a1b2c3d", false)
	f("1", false)
	f("gz", false)
}
