package netx

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagarilog/kagari/internal/netx/netxtest"
)

// countedEcho is an echo server that counts connections and can drop them.
type countedEcho struct {
	addr  string
	conns atomic.Int64
	drop  chan struct{} // each receive by a connection closes it
}

func newCountedEcho(t *testing.T, o ListenOptions) *countedEcho {
	e := &countedEcho{drop: make(chan struct{})}
	l := serve(t, "tcp", "127.0.0.1:0", o, func(ctx context.Context, conn net.Conn) {
		e.conns.Add(1)
		done := make(chan struct{})
		go func() { defer close(done); echo(ctx, conn) }()
		select {
		case <-e.drop:
			conn.Close()
		case <-done:
		}
		<-done
	})
	e.addr = l.Addr().String()
	return e
}

func get(t *testing.T, p *Pool) *PoolConn {
	t.Helper()
	c, err := p.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustAsk(t, c)
	return c
}

func TestPoolUsesAConnectionAgain(t *testing.T) {
	ca := netxtest.NewCA(t)
	cert, key := ca.Issue("server", "127.0.0.1")
	f := func(o ListenOptions, tls *TLS) {
		t.Helper()
		e := newCountedEcho(t, o)
		p := NewPool(dialer(t, client(t, "net.io_timeout", "5"), tls), "tcp", e.addr)
		defer p.Close()
		for i := range 5 {
			c := get(t, p)
			if c.Reused() != (i > 0) {
				t.Errorf("use %d: Reused is %v", i, c.Reused())
			}
			p.Put(c)
		}
		if n := e.conns.Load(); n != 1 {
			t.Errorf("%d connections were made, want 1", n)
		}
	}
	f(ListenOptions{}, nil)
	// TLS 1.3 sends session tickets that nobody asked for.
	f(ListenOptions{TLS: serverTLSOptions(t, "tls", "on", "tls.crt_file", cert, "tls.key_file", key)},
		tlsOptions(t, "tls", "on", "tls.ca_file", ca.File))
}

func TestPoolHandsOutNoDeadConnection(t *testing.T) {
	ca := netxtest.NewCA(t)
	cert, key := ca.Issue("server", "127.0.0.1")
	f := func(o ListenOptions, tls *TLS) {
		t.Helper()
		e := newCountedEcho(t, o)
		p := NewPool(dialer(t, client(t), tls), "tcp", e.addr)
		defer p.Close()
		p.Put(get(t, p))
		e.drop <- struct{}{}
		waitClosed(t, p)
		p.Put(get(t, p)) // fails if the dead one is handed out
		if n := e.conns.Load(); n != 2 {
			t.Errorf("%d connections were made, want 2", n)
		}
	}
	f(ListenOptions{}, nil)
	f(ListenOptions{TLS: serverTLSOptions(t, "tls", "on", "tls.crt_file", cert, "tls.key_file", key)},
		tlsOptions(t, "tls", "on", "tls.ca_file", ca.File))
}

// waitClosed waits until the idle connection of p is seen as closed.
func waitClosed(t *testing.T, p *Pool) {
	t.Helper()
	p.mu.Lock()
	c := p.idle[0].Conn
	p.mu.Unlock()
	for end := time.Now().Add(5 * time.Second); alive(c); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the closed connection still counts as alive")
		}
	}
}

func TestPoolDistrustsAConnectionWithUnreadData(t *testing.T) {
	l := serve(t, "tcp", "127.0.0.1:0", ListenOptions{}, func(ctx context.Context, conn net.Conn) {
		_, _ = io.WriteString(conn, "unasked")
		_, _ = io.Copy(io.Discard, conn)
	})
	p := NewPool(dialer(t, client(t), nil), "tcp", l.Addr().String())
	defer p.Close()
	c, err := p.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.Put(c)
	waitClosed(t, p)
	if c, err = p.Get(t.Context()); err != nil || c.Reused() {
		t.Errorf("got a used connection or %v", err)
	}
	c.Close()
}

func TestPoolFollowsTheKeepaliveOptions(t *testing.T) {
	f := func(uses int, want int64, kv ...string) {
		t.Helper()
		e := newCountedEcho(t, ListenOptions{})
		p := NewPool(dialer(t, client(t, kv...), nil), "tcp", e.addr)
		defer p.Close()
		for range uses {
			p.Put(get(t, p))
		}
		if n := e.conns.Load(); n != want {
			t.Errorf("%q: %d connections, want %d", kv, n, want)
		}
	}
	f(3, 3, "net.keepalive", "off")
	f(3, 3, "net.keepalive_idle_timeout", "0")
	f(6, 2, "net.keepalive_max_recycle", "2")
	f(6, 1, "net.keepalive_max_recycle", "0")
}

func TestPoolClosesIdleConnectionsInTime(t *testing.T) {
	closed := make(chan struct{}, 2)
	l := serve(t, "tcp", "127.0.0.1:0", ListenOptions{}, func(_ context.Context, conn net.Conn) {
		echo(nil, conn)
		closed <- struct{}{}
	})
	p := NewPool(dialer(t, client(t, "net.keepalive_idle_timeout", "30ms"), nil), "tcp", l.Addr().String())
	a, b := get(t, p), get(t, p)
	p.Put(a)
	time.Sleep(10 * time.Millisecond)
	p.Put(b)
	<-closed
	<-closed
	c := get(t, p)
	if c.Reused() {
		t.Error("got a used connection after the idle timeout")
	}
	p.Close()
	p.Put(c) // closed late, but closed
	<-closed
	if _, err := p.Get(t.Context()); err != ErrPoolClosed {
		t.Errorf("Get after Close: %v", err)
	}
}

func TestPoolCountsItsConnections(t *testing.T) {
	e := newCountedEcho(t, ListenOptions{})
	p := NewPool(dialer(t, client(t), nil), "tcp", e.addr)
	f := func(want int, when string) {
		t.Helper()
		if got := p.Connections(); got != want {
			t.Errorf("%s: %d connections are open, want %d", when, got, want)
		}
	}
	f(0, "at first")
	a, b := get(t, p), get(t, p)
	f(2, "with two in use")
	p.Put(a)
	f(2, "with one idle")
	_ = b.Close()
	_ = b.Close()
	f(1, "with one closed, twice")
	_ = p.Close()
	f(0, "at the end")
}
