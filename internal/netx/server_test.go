package netx

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func defaultServer() *Server {
	s := &Server{}
	s.Fields()
	return s
}

func TestUnixSocketFiles(t *testing.T) {
	for _, network := range []string{"unix", "unixgram"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "s")
		listen := func() (func() error, error) {
			if network == "unix" {
				l, err := defaultServer().Listen(t.Context(), network, path, ListenOptions{Mode: 0o620})
				if err != nil {
					return nil, err
				}
				return l.Close, nil
			}
			c, err := defaultServer().ListenPacket(t.Context(), network, path, 0o620)
			if err != nil {
				return nil, err
			}
			return c.Close, nil
		}
		closeIt, err := listen()
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o620 {
			t.Errorf("%s: permissions are %v, %v", network, info.Mode(), err)
		}
		if _, err := listen(); err == nil || !strings.Contains(err.Error(), "another process listens") {
			t.Errorf("%s: a socket in use is taken over: %v", network, err)
		}
		if err := closeIt(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s: the file stays after Close: %v", network, err)
		}

		// What a killed process leaves behind is removed.
		stale, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		stale.Close()
		if network == "unix" {
			os.Remove(path)
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			l.SetUnlinkOnClose(false)
			l.Close()
		}
		if info, err := os.Lstat(path); err != nil || info.Mode().Type() != fs.ModeSocket {
			t.Fatalf("%s: there is no stale socket: %v", network, err)
		}
		if closeIt, err = listen(); err != nil {
			t.Errorf("%s: a stale socket is in the way: %v", network, err)
		} else if err := closeIt(); err != nil {
			t.Error(err)
		}

		// A file that is no socket is not.
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := listen(); err == nil || !strings.Contains(err.Error(), "no socket") {
			t.Errorf("%s: a plain file: %v", network, err)
		}
		if b, _ := os.ReadFile(path); string(b) != "precious" {
			t.Errorf("%s: the plain file is gone", network)
		}
	}
}

func TestListenExplainsATakenPort(t *testing.T) {
	l := serve(t, "tcp", "127.0.0.1:0", ListenOptions{}, echo)
	_, err := defaultServer().Listen(t.Context(), "tcp", l.Addr().String(), ListenOptions{})
	if err == nil || !strings.Contains(err.Error(), "listens there") {
		t.Errorf("got %v", err)
	}
}

func TestSharePortAndBacklog(t *testing.T) {
	a := serve(t, "tcp", "127.0.0.1:0", ListenOptions{}, echo, "net.share_port", "on", "net.backlog", "1")
	serve(t, "tcp", a.Addr().String(), ListenOptions{}, echo, "net.share_port", "on")
	s := &Server{}
	if err := set(s.Fields(), "net.share_port", "on").Err(); err != nil {
		t.Fatal(err)
	}
	c, err := s.ListenPacket(t.Context(), "udp", "127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	d, err := s.ListenPacket(t.Context(), "udp", c.LocalAddr().String(), 0)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
}

func TestConnectionsOverTheLimitAreClosedAndCounted(t *testing.T) {
	rejected := make(chan string, 8)
	l := serve(t, "tcp", "127.0.0.1:0", ListenOptions{Reject: func(r string) { rejected <- r }}, echo, "net.max_connections", "1")
	first, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	mustAsk(t, first)
	second, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if _, err := ask(second, "x"); err == nil {
		t.Error("the second connection is served")
	}
	if got := <-rejected; got != "too_many_connections" {
		t.Errorf("counted as %q", got)
	}
	first.Close()
	for end := time.Now().Add(5 * time.Second); l.Connections() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	third, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	mustAsk(t, third)
}

func TestIdleConnectionsAreClosedAfterTheIOTimeout(t *testing.T) {
	l := serve(t, "tcp", "127.0.0.1:0", ListenOptions{}, echo, "net.io_timeout", "50ms")
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	mustAsk(t, conn)
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("got %v, want the end of the connection", err)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	l, err := defaultServer().Listen(t.Context(), "tcp", "127.0.0.1:0", ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx, echo) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	mustAsk(t, conn) // now a handler waits for the next line
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}
