package soak

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kagarilog/kagari/internal/testbinary"
)

var (
	long = flag.Bool("soak", false, "kill a hundred times in each mode, and lose what is not synced")
	seed = flag.Uint64("seed", 0, "seed of all random numbers; 0 for a new one")
)

// random returns the random numbers of a test and prints what repeats them.
func random(t *testing.T) *rand.Rand {
	s := *seed
	if s == 0 {
		s = rand.Uint64()>>1 + 1
	}
	t.Logf("seed %d", s)
	return rand.New(rand.NewPCG(s, 0))
}

// kills is how often a test kills: a few times, or many with -soak.
func kills(few, many int) int {
	if *long {
		return many
	}
	return few
}

// build makes the binary, unless KAGARI_BIN names one to test.
var build = sync.OnceValues(func() (string, error) {
	return testbinary.Path("KAGARI_BIN", func() (string, error) { return os.MkdirTemp("", "kagari-soak-") })
})

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if bin, err := build(); err == nil && os.Getenv("KAGARI_BIN") == "" {
		_ = os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

// router is a kagari that is started again and again with one configuration.
type router struct {
	t      *testing.T
	bin    string
	config string
	cmd    *exec.Cmd // of the process that runs, if any
	ended  chan struct{}
	err    error
	log    *text        // of the last process
	since  atomic.Int64 // when the process was started, in Unix nanoseconds; 0 if none runs
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

func newRouter(t *testing.T, config string) *router {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	file := filepath.Join(t.TempDir(), "kagari.conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &router{t: t, bin: bin, config: file}
	t.Cleanup(func() {
		if r.cmd != nil {
			_ = r.cmd.Process.Kill()
			<-r.ended
		}
	})
	return r
}

// start starts a process with further arguments and does not wait for it.
func (r *router) start(args ...string) {
	r.t.Helper()
	r.log = &text{}
	r.cmd = exec.Command(r.bin, append(args, "-c", r.config)...)
	r.cmd.Stderr = r.log
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.since.Store(time.Now().UnixNano())
	ended := make(chan struct{})
	r.ended = ended
	cmd := r.cmd
	go func() {
		r.err = cmd.Wait()
		close(ended)
	}()
}

// kill ends the process with SIGKILL. One that has ended by itself fails the
// test.
func (r *router) kill() {
	r.t.Helper()
	select {
	case <-r.ended:
		r.t.Fatalf("the router ended by itself with %v; its log:\n%s", r.err, r.log.String())
	default:
	}
	r.since.Store(0)
	_ = r.cmd.Process.Signal(syscall.SIGKILL)
	<-r.ended
	r.cmd = nil
}

// stop ends the process with SIGTERM, which it must obey well. In its very first
// moments no program can.
func (r *router) stop() {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(r.log.String(), "started") && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	<-r.ended
	r.cmd = nil
	if r.err != nil {
		r.t.Errorf("the router ended with %v; its log:\n%s", r.err, r.log.String())
	}
}

// giveUp fails the test with the log of the process.
func (r *router) giveUp(format string, args ...any) {
	r.t.Helper()
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		<-r.ended
		r.cmd = nil
	}
	const most = 6000
	log := r.log.String()
	if len(log) > most {
		log = "…" + log[len(log)-most:]
	}
	r.t.Fatalf("%s; the last log:\n%s", fmt.Sprintf(format, args...), log)
}

// freePort returns a TCP port that is free at this moment and is none of those
// that the system gives to clients.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(10000 + rand.IntN(20000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// fill replaces the words of a configuration that are given in pairs.
func fill(config string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(config)
}

// between returns a random time.
func between(rnd *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rnd.Int64N(int64(most-least)))
}
