//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kagarilog/kagari/deadletter"
	"github.com/kagarilog/kagari/event"
)

// destination is an HTTP server that counts the numbers it gets. answer decides
// about the n-th request, from 1, before its records count.
type destination struct {
	*httptest.Server
	mu     sync.Mutex
	seen   map[int]int
	asked  int
	answer func(n int) (code int)
	refuse string // 400 for requests with that text
}

func newDestination(t *testing.T) *destination {
	d := &destination{seen: map[int]int{}}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.asked++
		code := 200
		if d.answer != nil {
			code = d.answer(d.asked)
		}
		if d.refuse != "" && bytes.Contains(body, []byte(d.refuse)) {
			code = 400
		}
		if code == 200 && err == nil {
			for dec := json.NewDecoder(bytes.NewReader(body)); ; {
				var rec struct{ N int }
				if dec.Decode(&rec) != nil {
					break
				}
				d.seen[rec.N]++
			}
		}
		w.WriteHeader(code)
	}))
	t.Cleanup(d.Close)
	return d
}

// replay runs the command against it.
func (d *destination) replay(t *testing.T, wantCode int, dir string) string {
	t.Helper()
	to := d.URL + "/in?format=json_lines&retry_limit=no_retries"
	cmd := exec.Command("kagari", "replay", "--to", to, dir)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if code := cmd.ProcessState.ExitCode(); code != wantCode {
		t.Errorf("exit code %d, want %d:\n%s", code, wantCode, out)
	}
	return string(out)
}

// check fails unless every number from 0 on came that often.
func (d *destination) check(t *testing.T, count int, least, most int) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for n := range count {
		if got := d.seen[n]; got < least || got > most {
			t.Fatalf("letter %d came %d times", n, got)
		}
	}
}

// writeLetters keeps count letters {"N": 0…}, some thousand in a file.
func writeLetters(t *testing.T, count int) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "rejected")
	box := deadletter.New(dir, 20<<20, nil)
	for from := 0; from < count; from += 1000 {
		b := event.NewBatch("t")
		for n := from; n < min(from+1000, count); n++ {
			e := b.Add(int64(n))
			e.Append(b.String("N"), b.Int(int64(n)))
			e.Append(b.String("pad"), b.String(strings.Repeat("x", 200)))
		}
		bu := event.NewBuilder("t", event.Logs, time.Now())
		bu.Seal(b, 0, 1<<30)
		b.Free()
		c := bu.Chunk()
		if kept, err := box.Put(c, deadletter.Cause{Output: "http.0", Reason: "refused"}); kept != c.Count || err != nil {
			t.Fatal(kept, err)
		}
	}
	if err := box.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestReplayGoesOnWhereItHasEnded(t *testing.T) {
	const count = 12_000
	dir := writeLetters(t, count)
	d := newDestination(t)
	d.answer = func(n int) int {
		if n == 6 {
			return 503
		}
		return 200
	}
	out := d.replay(t, 1, dir)
	if !strings.Contains(out, "the destination takes nothing: ") {
		t.Errorf("the output does not say why it ended:\n%s", out)
	}
	if len(d.seen) == 0 || len(d.seen) == count {
		t.Fatalf("%d of %d letters have arrived", len(d.seen), count)
	}
	d.replay(t, 0, dir)
	d.check(t, count, 1, 1)
}

func TestInterruptedReplay(t *testing.T) {
	const count = 12_000
	dir := writeLetters(t, count)
	d := newDestination(t)
	cmd := exec.Command("kagari", "replay", "--to", d.URL+"/in?format=json_lines", dir)
	d.answer = func(n int) int {
		if n == 3 {
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Error(err)
			}
		}
		return 200
	}
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "interrupted") {
		t.Errorf("%v\n%s", cmd.ProcessState, out)
	}
	d.check(t, count, 0, 1)
	d.replay(t, 0, dir)
	d.check(t, count, 1, 1)
}

// After kill -9 what was on its way comes again, and no more.
func TestKilledReplay(t *testing.T) {
	const count = 12_000
	dir := writeLetters(t, count)
	d := newDestination(t)
	cmd := exec.Command("kagari", "replay", "--to", d.URL+"/in?format=json_lines", dir)
	d.answer = func(n int) int {
		if n == 5 {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
		return 200
	}
	_ = cmd.Run()
	d.answer = nil
	d.replay(t, 0, dir)
	d.check(t, count, 1, 2)
	twice := 0
	for _, n := range d.seen {
		twice += n - 1
	}
	if twice > 4000 {
		t.Errorf("%d letters came twice", twice)
	}
}

// A letter that is refused again does not hold up the others of its chunk.
func TestRefusedAgain(t *testing.T) {
	dir := writeLetters(t, 3000)
	d := newDestination(t)
	d.refuse = `"N":1234,`
	out := d.replay(t, 1, dir)
	if !strings.Contains(out, "2999 letters replayed, 1 given up again") {
		t.Error(out)
	}
	d.refuse = ""
	if out := d.replay(t, 0, dir); !strings.Contains(out, "1 letter replayed, 2999 replayed before") {
		t.Error(out)
	}
	d.check(t, 3000, 1, 1)
}
