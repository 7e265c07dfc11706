//go:build unix

package main

import (
	"bufio"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// process is a running kagari of which the log is read.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command("kagari", args...), lines: make(chan string, 1000)}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	go func() {
		defer close(p.lines)
		for sc := bufio.NewScanner(stderr); sc.Scan(); {
			p.lines <- sc.Text()
		}
	}()
	return p
}

// await returns the submatches in the next line of the log that fits.
func (p *process) await(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	timeout := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the process ended without a line %q", pattern)
			}
			if m := re.FindStringSubmatch(line); m != nil {
				return m
			}
		case <-timeout:
			p.t.Fatalf("no line %q", pattern)
		}
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// end waits for the process and checks its exit code.
func (p *process) end(want int) {
	p.t.Helper()
	for range p.lines { // Wait reads nothing itself.
	}
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		p.t.Errorf("exit code %d, want %d", got, want)
	}
}

func TestHangupWithoutHotReloadEndsNothing(t *testing.T) {
	p := start(t, "-i", "dummy", "-o", "null", "-m", "*")
	p.await(`started`)
	p.signal(syscall.SIGHUP)
	p.await(`SIGHUP is ignored`)
	p.signal(syscall.SIGTERM)
	p.end(0)
}

func TestHangupReloadsTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "k.conf")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const good = "[SERVICE]\n  Hot_Reload on\n[INPUT]\n  Name dummy\n[OUTPUT]\n  Name null\n  Match *\n"
	write(good)
	p := start(t, "-c", file)
	p.await(`started`)
	write("[INPUT]\n  Name nonsense\n")
	p.signal(syscall.SIGHUP)
	p.await(`not reloaded.*nonsense`)
	write(good + "[INPUT]\n  Name dummy\n")
	p.signal(syscall.SIGHUP)
	p.await(`started inputs=2`)
	p.signal(syscall.SIGINT)
	p.end(0)
}

// Death by a panic is a crash too, whose exit code alone does not tell.
func TestSupervisorStartsACrashedRouterAgain(t *testing.T) {
	p := start(t, "--supervisor", "-i", "dummy", "-o", "null", "-m", "*")
	child, err := strconv.Atoi(p.await(`pid=(\d+)`)[1])
	if err != nil || child == p.cmd.Process.Pid {
		t.Fatalf("the router is process %d, %v", child, err)
	}
	p.await(`started`)
	// The Go runtime ends after SIGABRT as after a panic.
	if err := syscall.Kill(child, syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	p.await(`the router died .* is started again`)
	p.await(`started`)
	p.signal(syscall.SIGTERM)
	p.end(0)
}

func TestProfilesAreServedOnlyIfAsked(t *testing.T) {
	for text, want := range map[string]int{"": 404, "  http_pprof on\n": 200} {
		file := filepath.Join(t.TempDir(), "k.conf")
		conf := "[SERVICE]\n  HTTP_Server on\n  HTTP_Listen 127.0.0.1\n  HTTP_Port 0\n" + text + "[INPUT]\n  Name dummy\n[OUTPUT]\n  Name null\n  Match *\n"
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		p := start(t, "-c", file)
		addr := p.await(`listening address=(\S+)`)[1]
		resp, err := http.Get("http://" + addr + "/debug/pprof/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("with %q: %s, want %d", text, resp.Status, want)
		}
		p.signal(syscall.SIGTERM)
		p.end(0)
	}
}
