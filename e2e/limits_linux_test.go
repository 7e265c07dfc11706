package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fileLimit starts a command with so many file descriptors at most, soft and
// hard.
func fileLimit(n int) []string {
	return []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, n), "sh"}
}

// Far more peers than there are file descriptors: the excess is turned away and
// counted, nothing spins or floods the log, peers that were there before go on
// and their records are delivered, and when the excess is gone new peers are
// welcome.
func TestMorePeersThanFiles(t *testing.T) {
	p := servePeers(t, fileLimit(256), "    Grace 5", "")
	old := say(t, p.forward, string(message("a", "log", "before")))
	waitFor(t, "the first record", func() bool { return holds(p.out, "before") })
	idle := p.files()

	var crowd []net.Conn
	for i := range 600 {
		address := []string{p.forward, p.http}[i%2]
		c, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			break // the backlog of the system is full
		}
		defer c.Close()
		crowd = append(crowd, c)
	}
	if len(crowd) < 400 {
		t.Fatalf("only %d connections could be opened", len(crowd))
	}
	waitFor(t, "a refusal in the log", func() bool { return strings.Contains(p.log.String(), "is refused") })

	cpu, logged := p.cpu(), len(p.log.String())
	begin := time.Now()
	for i := range 3 {
		text := fmt.Sprintf("in the crowd %d", i)
		if _, err := old.Write(message("a", "log", text)); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "a record of an old peer", func() bool { return holds(p.out, text) })
		time.Sleep(time.Second)
	}
	if used, passed := p.cpu()-cpu, time.Since(begin); used > passed/10 {
		t.Errorf("%v of processor time were used in %v", used, passed)
	}
	if n := len(p.log.String()) - logged; n > 4000 {
		t.Errorf("%d bytes were logged meanwhile:\n%s", n, p.log.String())
	}
	if strings.Contains(p.log.String(), "sending failed") {
		t.Errorf("an output found no file descriptor:\n%s", p.log.String())
	}
	for _, instance := range []string{"forward.0", "http.1"} {
		if n := p.rejected(instance, "too_many_files"); n < 1 {
			t.Errorf("%s counts %d connections that were refused for lack of files", instance, n)
		}
	}
	refused := 0
	for _, c := range crowd {
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); err == io.EOF || err != nil && strings.Contains(err.Error(), "reset") {
			refused++
		}
	}
	t.Logf("%d of %d connections were refused; %d files are open", refused, len(crowd), p.files())

	for _, c := range crowd {
		c.Close()
	}
	p.others()
	waitFor(t, "the files to be closed", func() bool { return p.files() <= idle+10 })
	if _, err := old.Write(message("a", "log", "after")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the last record", func() bool { return holds(p.out, "after") })
	p.stopWithin(3 * time.Second)
}

// A crowd at the admin API takes no file descriptors from the rest.
func TestACrowdAtTheAdminAPI(t *testing.T) {
	p := servePeers(t, fileLimit(160), "    Grace 5", "")
	var crowd []net.Conn
	for range 300 {
		c, err := net.DialTimeout("tcp", p.admin, 2*time.Second)
		if err != nil {
			break
		}
		defer c.Close()
		crowd = append(crowd, c)
	}
	p.others()
	if n := p.files(); n > 120 {
		t.Errorf("%d files are open", n)
	}
	for _, c := range crowd {
		c.Close()
	}
	waitFor(t, "the admin API", func() bool { return p.counter("fluentbit_input_records_total") >= 5 })
	p.others()
	p.stopWithin(4 * time.Second)
}

// Thousands of peers that have sent something and are quiet cost little each.
func TestThousandsOfPeers(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	n := min(int(limit.Cur)-500, 5000)
	if n < 1000 {
		t.Skipf("this process may have only %d files open", limit.Cur)
	}
	const most = 32 << 10 // bytes for each
	for _, kind := range []string{"forward", "http", "tcp", "syslog"} {
		t.Run(kind, func(t *testing.T) {
			p := servePeers(t, nil, "    Grace 5", "")
			address, m := p.forward, string(message("a", "log", "x"))
			switch kind {
			case "http":
				address, m = p.http, post("/a", "application/json", `{"log":"x"}`)
			case "tcp":
				address, m = p.text, "x\n"
			case "syslog":
				address, m = p.syslog, "{\"log\":\"x\"}\n"
			}
			before := p.resident()
			var all []net.Conn
			for range n {
				c, err := net.DialTimeout("tcp", address, 10*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				all = append(all, c)
				if _, err := io.WriteString(c, m); err != nil {
					t.Fatal(err)
				}
			}
			waitFor(t, "all records", func() bool { return count(p.out) >= n })
			each := (p.resident() - before) << 10 / n
			t.Logf("%d bytes for each of %d connections, %d MB at most in all", each, n, p.peak())
			if each > most {
				t.Errorf("a connection costs %d bytes, more than %d", each, most)
			}
			for _, c := range all[:n/2] {
				if _, err := io.WriteString(c, m); err != nil {
					t.Fatal(err)
				}
			}
			waitFor(t, "the records of half of them", func() bool { return count(p.out) >= n+n/2 })
			p.stopWithin(4 * time.Second)
		})
	}
}

// What 200 connections took is given back when they are gone.
func TestConnectionsThatAreGoneLeaveNothingBehind(t *testing.T) {
	p := servePeers(t, nil, "    Grace 5", "")
	crowd := func() {
		before := count(p.out)
		all := []net.Conn{}
		sent := 0
		for address, m := range wholeMessages(p) {
			for i := range 40 {
				if i%4 == 0 {
					m := m[:len(m)/2]
					all = append(all, say(t, address, m))
					continue
				}
				all = append(all, say(t, address, m))
				sent++
			}
		}
		waitFor(t, "all records", func() bool { return count(p.out) >= before+sent })
		for _, c := range all {
			c.Close()
		}
	}
	crowd()
	waitFor(t, "the files to be closed", func() bool { return p.files() < 60 })
	time.Sleep(200 * time.Millisecond)
	files, threads, memory := p.files(), p.status("Threads"), p.resident()
	for range 5 {
		crowd()
	}
	waitFor(t, "the files to be closed", func() bool { return p.files() <= files })
	if n := p.status("Threads"); n > threads+8 {
		t.Errorf("%d threads, %d before", n, threads)
	}
	if n := p.resident(); n > memory+8<<10 {
		t.Errorf("%d KB in memory, %d before", n, memory)
	}
	p.stopWithin(3 * time.Second)
}
