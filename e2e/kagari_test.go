package e2e

import (
	"bytes"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kagarilog/kagari/internal/testbinary"
)

// build makes the binary, unless KAGARI_BIN names one to test.
var build = sync.OnceValues(func() (string, error) {
	return testbinary.Path("KAGARI_BIN", func() (string, error) { return os.MkdirTemp("", "kagari-e2e-") })
})

// router is a running kagari.
type router struct {
	t     *testing.T
	cmd   *exec.Cmd
	admin string // address of the admin API, for a configuration with one
	log   text
	ended chan struct{} // closed when the process has ended, with err
	err   error
}

// text collects what a process writes while others read it.
type text struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.buf.Write(p)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.buf.String()
}

// start runs the binary with a configuration text.
func start(t *testing.T, config string) *router {
	t.Helper()
	return launch(t, nil, "-c", write(t, t.TempDir(), "kagari.conf", config))
}

// launch runs the binary with arguments, as the last ones of the command in
// wrap if there is one.
func launch(t *testing.T, wrap []string, args ...string) *router {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	line := append(append(append([]string(nil), wrap...), bin), args...)
	r := &router{t: t, cmd: exec.Command(line[0], line[1:]...)}
	r.cmd.Stderr = &r.log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.ended = make(chan struct{})
	go func() {
		defer close(r.ended)
		r.err = r.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		<-r.ended
	})
	return r
}

// stop ends it with SIGTERM and fails the test unless it ends well.
func (r *router) stop() {
	r.t.Helper()
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	<-r.ended
	if r.err != nil {
		r.t.Errorf("the router ended with %v; its log:\n%s", r.err, r.log.String())
	}
}

// write makes a file and returns its path.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// waitFor polls until the condition holds, for at most 25 seconds.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(25 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited too long for %s", what)
}

// listening tells whether something accepts connections.
func listening(network, address string) bool {
	c, err := net.Dial(network, address)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// freePort returns a TCP port that is free at this moment and is none of those
// that the system gives to clients or to others who ask for any.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(10000 + rand.IntN(20000))
		if _, given := ports.LoadOrStore(port, true); given {
			continue
		}
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// ports are those that were given.
var ports sync.Map

// count returns the number of lines in a file, 0 if there is none yet.
func count(file string) int {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	return strings.Count(string(b), "\n")
}
