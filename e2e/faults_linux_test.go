package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// tailToHTTP follows *.txt in DIR and sends to an address that has a record
// for each line; the last lines of either are further options.
const tailToHTTP = `
[INPUT]
    Name tail
    Path DIR/*.txt
    DB DIR/offsets.db
    Read_from_Head on
    Refresh_Interval 1
    IN_OPTIONS
[OUTPUT]
    Name http
    Match *
    Host HOST
    Port PORT
    Format json_lines
    Retry_Limit no_limits
    OUT_OPTIONS
`

func words(text string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(text) }

// collector is an HTTP server that keeps what it is sent.
type collector struct {
	*httptest.Server
	body text
}

func collect(t *testing.T) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(&c.body, r.Body)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) port() string { return c.URL[strings.LastIndexByte(c.URL, ':')+1:] }

func (c *collector) records() int { return strings.Count(c.body.String(), "\n") }

// A storage directory that becomes read-only costs the copies on disk, but no
// record, and it is said; one that is so from the start refuses it.
func TestAReadOnlyStorageDirectory(t *testing.T) {
	dir := t.TempDir()
	c := collect(t)
	port := freePort(t)
	r := watched(t, nil, retrySoon+"    storage.path "+dir+"/chunks\n", words(`
[INPUT]
    Name forward
    Listen 127.0.0.1
    Port LISTEN
    storage.type filesystem
[OUTPUT]
    Name http
    Match *
    Host 127.0.0.1
    Port PORT
    Format json_lines
`, "LISTEN", port, "PORT", c.port()))
	numbered(t, "127.0.0.1:"+port, 0, 10)
	waitFor(t, "the first records", func() bool { return c.records() == 10 })
	sub := filepath.Join(dir, "chunks", "forward.0")
	readOnly(t, sub)
	numbered(t, "127.0.0.1:"+port, 10, 20)
	waitFor(t, "records while the directory is read-only", func() bool { return c.records() == 20 })
	if !strings.Contains(r.log.String(), "cannot store a chunk; it stays in memory") {
		t.Errorf("the log does not say it:\n%s", r.log.String())
	}
	r.stopWithin(3 * time.Second)

	readOnly(t, filepath.Join(dir, "chunks"))
	r = launch(t, nil, "-c", write(t, dir, "k.conf", "[SERVICE]\n    storage.path "+dir+"/chunks\n"+dummyToFile))
	r.wantEnd(5 * time.Second)
	if r.err == nil || !strings.Contains(r.log.String(), "write to storage directory") {
		t.Errorf("it ended with %v; the log:\n%s", r.err, r.log.String())
	}
}

// readOnly lets nothing be written below dir for the rest of the test.
func readOnly(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("nothing can be mounted here, which needs root and its capabilities: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
}

// With far more files than file descriptors the excess is not followed, which
// is said and counted, and the rest is delivered.
func TestMoreFilesThanFileDescriptors(t *testing.T) {
	dir := t.TempDir()
	for i := range 200 {
		write(t, dir, fmt.Sprintf("%d.txt", i), "a line\n")
	}
	c := collect(t)
	r := watched(t, fileLimit(80), "", words(tailToHTTP, "DIR", dir, "HOST", "127.0.0.1", "PORT", c.port(), "IN_OPTIONS", "Rotate_Wait 1", "OUT_OPTIONS", ""))
	waitFor(t, "the lines of some files", func() bool { return c.records() >= 40 })
	if !strings.Contains(r.log.String(), "almost no file descriptor is left") || r.rejected("tail.0", "file_unreadable") < 100 {
		t.Errorf("%d files are counted as unreadable; the log:\n%s", r.rejected("tail.0", "file_unreadable"), r.log.String())
	}
	// Those that are done with make room for others.
	for i := range 150 {
		if strings.Count(r.log.String(), fmt.Sprintf("/%d.txt", i)) == 0 {
			_ = os.Remove(filepath.Join(dir, fmt.Sprintf("%d.txt", i)))
		}
	}
	before := c.records()
	waitFor(t, "the lines of others", func() bool { return c.records() > before })
	r.stopWithin(3 * time.Second)
}

// A destination that accepts and never answers, or answers a byte a second, is
// given up after a time, tried again and gets everything in the end; others do
// not wait for it.
func TestDestinationsThatDoNotAnswer(t *testing.T) {
	f := func(name, options string, answer func(net.Conn)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "a.txt", strings.Repeat("a line\n", 10))
			port := freePort(t)
			l, err := net.Listen("tcp", "127.0.0.1:"+port)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						defer c.Close()
						answer(c)
					}()
				}
			}()
			r := watched(t, nil, retrySoon, words(tailToHTTP, "DIR", dir, "HOST", "127.0.0.1", "PORT", port, "IN_OPTIONS", "", "OUT_OPTIONS", options)+
				fmt.Sprintf("[OUTPUT]\n    Name file\n    Match *\n    Path %s\n    File out\n", dir))
			waitFor(t, "the other output", func() bool { return count(filepath.Join(dir, "out")) == 10 })
			waitFor(t, "a second attempt", func() bool { return strings.Contains(r.log.String(), "attempt=2") })
			l.Close()
			c := &collector{}
			back, err := net.Listen("tcp", "127.0.0.1:"+port)
			if err != nil {
				t.Fatal(err)
			}
			srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { _, _ = io.Copy(&c.body, req.Body) })}
			go func() { _ = srv.Serve(back) }()
			defer srv.Close()
			waitFor(t, "the records", func() bool { return c.records() == 10 })
			r.stopWithin(4 * time.Second)
		})
	}
	silent := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	slow := func(c net.Conn) {
		for _, b := range []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
	f("never", "http.response_timeout 1s", silent)
	f("a byte a second", "http.response_timeout 2s", slow)
}

// A name that cannot be resolved for a while delays records and loses none.
func TestANameThatComesBack(t *testing.T) {
	dir := t.TempDir()
	hosts := write(t, dir, "hosts", "127.0.0.1 localhost\n")
	resolv := write(t, dir, "resolv", "nameserver 127.0.0.77\noptions timeout:1 attempts:1\n")
	wrap := []string{"unshare", "-m", "sh", "-c", `mount --bind "$0" /etc/hosts && mount --bind "$1" /etc/resolv.conf && shift && exec "$@"`, hosts, resolv}
	if out, err := exec.Command(wrap[0], append(wrap[1:len(wrap):len(wrap)], "true")...).CombinedOutput(); err != nil {
		t.Skipf("no name space of its own can be had here, which needs root and its capabilities: %v %s", err, out)
	}
	write(t, dir, "a.txt", "a line\n")
	c := collect(t)
	r := watched(t, wrap, retrySoon, words(tailToHTTP, "DIR", dir, "HOST", "destination.test", "PORT", c.port(), "IN_OPTIONS", "", "OUT_OPTIONS", ""))
	waitFor(t, "a failed attempt", func() bool { return strings.Contains(r.log.String(), "attempt=2") })
	if !strings.Contains(r.log.String(), "destination.test") {
		t.Errorf("the log does not name it:\n%s", r.log.String())
	}
	write(t, dir, "hosts", "127.0.0.1 localhost destination.test\n")
	waitFor(t, "the record", func() bool { return c.records() == 1 })
	r.stopWithin(3 * time.Second)
}

// Asked to end while the destination is away, the router says how much it keeps
// where, and the next start delivers it.
func TestTheEndWithADeadDestination(t *testing.T) {
	f := func(storage string, again bool, want ...string) {
		t.Run(storage, func(t *testing.T) {
			dir := t.TempDir()
			port, listen := freePort(t), freePort(t)
			config := words("    Grace 2\n    storage.path DIR/chunks\n    scheduler.base 1\n    scheduler.cap 1\n", "DIR", dir)
			pipeline := words(`
[INPUT]
    Name tcp
    Listen 127.0.0.1
    Port LISTEN
    Format none
    storage.type TYPE
[OUTPUT]
    Name http
    Match *
    Host 127.0.0.1
    Port PORT
    Format json_lines
    Retry_Limit no_limits
`, "LISTEN", listen, "PORT", port, "TYPE", storage)
			r := watched(t, nil, config, pipeline)
			say(t, "127.0.0.1:"+listen, strings.Repeat("a line\n", 7))
			waitFor(t, "a failed attempt", func() bool { return strings.Contains(r.log.String(), "sending failed") })
			r.stopWithin(4 * time.Second)
			for _, w := range want {
				if !strings.Contains(r.log.String(), w) {
					t.Errorf("the log does not say %q:\n%s", w, r.log.String())
				}
			}
			l, err := net.Listen("tcp", "127.0.0.1:"+port)
			if err != nil {
				t.Fatal(err)
			}
			var got atomic.Int64
			srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
				b, _ := io.ReadAll(req.Body)
				got.Add(int64(strings.Count(string(b), "\n")))
			})}
			go func() { _ = srv.Serve(l) }()
			defer srv.Close()
			r = watched(t, nil, config, pipeline)
			if again {
				waitFor(t, "the records", func() bool { return got.Load() == 7 })
			}
			r.stopWithin(4 * time.Second)
			if n := got.Load(); again && n != 7 || !again && n != 0 {
				t.Errorf("%d records came after the next start", n)
			}
		})
	}
	f("filesystem", true, "http.0", "kept_on_disk=7", "not_on_disk=0")
	f("memory", false, "http.0", "kept_on_disk=0", "not_on_disk=7", "records were not delivered and are not on disk")
}
