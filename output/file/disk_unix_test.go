//go:build unix

package file

import (
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

var behaviours = []plugintest.Behaviour{plugintest.Transient, plugintest.Partial, plugintest.Slow}

// fullPipe makes a named pipe that takes nothing more and that nobody reads.
func fullPipe(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	for block := make([]byte, 4096); ; {
		if _, err := syscall.Write(fd, block); err != nil {
			return
		}
	}
}

// limitFiles makes writes beyond size fail, as on a full disk, until the
// returned function is called.
func limitFiles(t *testing.T, size uint64) (end func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	limited := old
	limited.Cur = size
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limited); err != nil {
		t.Fatal(err)
	}
	end = func() { _ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old) }
	t.Cleanup(end)
	return end
}

func TestAFullDiskNeitherLosesNorDoublesRecords(t *testing.T) {
	dir := t.TempDir()
	o := plugintest.NewOutput(t, Def(), plugintest.Env(t), "path", dir, "file", "o", "format", "plain")
	first := plugintest.Chunk(t, "t", `{"a":"first"}`)
	send(t, o, first)
	before := read(t, dir, "o")

	second := plugintest.Chunk(t, "t", `{"b":"`+strings.Repeat("x", 3000)+`"}`, `{"b":"two"}`)
	end := limitFiles(t, 1000)
	err := o.Send(t.Context(), second)
	if err == nil {
		t.Error("Send to a full disk returned no error")
	}
	if got := read(t, dir, "o"); got != before {
		t.Errorf("a half written chunk stayed in the file: %d bytes instead of %d", len(got), len(before))
	}
	end()
	send(t, o, second)
	want := before + `{"b":"` + strings.Repeat("x", 3000) + "\"}\n{\"b\":\"two\"}\n"
	if got := read(t, dir, "o"); got != want {
		t.Errorf("the file holds %d bytes, expected %d", len(got), len(want))
	}
}

func TestAFullDeviceIsAnErrorToRetry(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Logf("this system has no full device: %v", err)
		return
	}
	o := plugintest.NewOutput(t, Def(), plugintest.Env(t), "file", "/dev/full")
	if err := o.Send(t.Context(), plugintest.Chunk(t, "t", `{}`)); err == nil {
		t.Error("Send returned no error")
	}
}

func TestAFailedWriteTakesNothingFromOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	// Another program appends between the look at the size and the write.
	if err := os.WriteFile(path, []byte("foreign\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	limitFiles(t, 20)
	if err := appendAll(f, before, []byte(strings.Repeat("x", 100))); err == nil {
		t.Fatal("the write beyond the limit returned no error")
	}
	if got := read(t, path); got != "foreign\n" {
		t.Errorf("the file holds %q, expected what the other program wrote", got)
	}
}

var _ plugin.Output = (*Output)(nil)
