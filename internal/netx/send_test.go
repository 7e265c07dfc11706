package netx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// swallow is a server that keeps what it gets, and talks first if told to.
type swallow struct {
	addr  string
	conns atomic.Int64
	mu    sync.Mutex
	got   bytes.Buffer
}

func newSwallow(t *testing.T, banner string) *swallow {
	s := &swallow{}
	l := serve(t, "tcp", "127.0.0.1:0", ListenOptions{}, func(_ context.Context, conn net.Conn) {
		s.conns.Add(1)
		_, _ = io.WriteString(conn, banner)
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			s.mu.Lock()
			s.got.Write(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	s.addr = l.Addr().String()
	return s
}

func (s *swallow) wait(t *testing.T, want string) {
	t.Helper()
	var got string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		got = s.got.String()
		s.mu.Unlock()
		if got == want {
			return
		}
	}
	t.Errorf("the server got %q, want %q", got, want)
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

func TestSendUsesAConnectionAgainWhateverTheServerSays(t *testing.T) {
	s := newSwallow(t, strings.Repeat("unasked ", 2000))
	p := NewPool(dialer(t, client(t), nil), "tcp", s.addr)
	defer p.Close()
	p.OneWay = true
	for i := range 5 {
		if err := p.Send(t.Context(), text(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.wait(t, "01234")
	if n := s.conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestSendReplacesAConnectionThatBreaks(t *testing.T) {
	s := newSwallow(t, "")
	p := NewPool(dialer(t, client(t), nil), "tcp", s.addr)
	defer p.Close()
	if err := p.Send(t.Context(), text("a")); err != nil {
		t.Fatal(err)
	}
	s.wait(t, "a")
	calls := 0
	err := p.Send(t.Context(), func(w io.Writer) error {
		if calls++; calls == 1 {
			return &net.OpError{Op: "write", Err: syscall.EPIPE}
		}
		return text("b")(w)
	})
	if err != nil || calls != 2 {
		t.Errorf("%d calls, %v", calls, err)
	}
	s.wait(t, "ab")
	// Other errors, and those of a new connection, are the caller's.
	mine := errors.New("mine")
	if err := p.Send(t.Context(), func(io.Writer) error { return mine }); err != mine {
		t.Errorf("got %v", err)
	}
	if err := p.Send(t.Context(), func(io.Writer) error { return syscall.EPIPE }); err != syscall.EPIPE {
		t.Errorf("got %v", err)
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // nobody reads
	p := NewPool(dialer(t, client(t), nil), "tcp", l.Addr().String())
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = p.Send(ctx, func(w io.Writer) error { _, err := w.Write(make([]byte, 64<<20)); return err })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestDatagrams(t *testing.T) {
	f := func(network, address string, size int) {
		t.Helper()
		in, err := defaultServer().ListenPacket(t.Context(), network, address, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		s := NewDatagrams(dialer(t, client(t), nil), network, in.LocalAddr().String())
		defer s.Close()
		buf := make([]byte, 1<<20)
		for _, n := range []int{1, size, 0, 2} {
			if err := s.Send(t.Context(), buf[:n]); err != nil {
				t.Fatalf("%s: %d bytes: %v", network, n, err)
			}
			_ = in.SetReadDeadline(time.Now().Add(5 * time.Second))
			if got, _, err := in.ReadFrom(buf); got != n || err != nil {
				t.Errorf("%s: %d bytes came as %d, %v", network, n, got, err)
			}
		}
		if err := s.Send(t.Context(), buf); !errors.Is(err, ErrMessageSize) {
			t.Errorf("%s: a megabyte: %v", network, err)
		}
		if err := s.Send(t.Context(), buf[:1]); err != nil {
			t.Errorf("%s: after it: %v", network, err)
		}
	}
	f("udp", "127.0.0.1:0", 65_507)
	f("unixgram", filepath.Join(t.TempDir(), "s"), 100_000)
}

func TestDatagramsRecover(t *testing.T) {
	in, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := in.LocalAddr().String()
	s := NewDatagrams(dialer(t, client(t), nil), "udp", addr)
	defer s.Close()
	if err := s.Send(t.Context(), []byte("a")); err != nil {
		t.Fatal(err)
	}
	in.Close()
	failed := false
	for end := time.Now().Add(5 * time.Second); !failed && time.Now().Before(end); time.Sleep(time.Millisecond) {
		failed = s.Send(t.Context(), []byte("b")) != nil
	}
	if !failed {
		t.Error("a closed port is never noticed")
	}
	if in, err = net.ListenPacket("udp", addr); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := s.Send(t.Context(), []byte("c")); err != nil {
		t.Errorf("the port is open again: %v", err)
	}
}

func TestADatagramForAFullSocketIsGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	in, err := defaultServer().ListenPacket(t.Context(), "unixgram", path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	s := NewDatagrams(dialer(t, client(t, "net.io_timeout", "50ms"), nil), "unixgram", path)
	defer s.Close()
	for i := 0; ; i++ {
		if err := s.Send(t.Context(), make([]byte, 1000)); err != nil {
			break
		}
		if i > 1_000_000 {
			t.Fatal("the queue has no end")
		}
	}
}
