package netx

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Listener accepts connections for as long as it is open. It leaves some file
// descriptors to the rest of the process: a connection that would take one of
// them is closed at once, counted, and the next one is waited for after a pause.
// The same happens when there is none at all. It is a [net.Listener], whose TLS
// connections have not shaken hands yet, or is driven by Serve.
type Listener struct {
	inner   net.Listener
	options Server
	tls     *tls.Config // nil without TLS
	log     *slog.Logger
	reject  func(reason string)

	mu     sync.Mutex
	spare  *os.File // given up to accept and close when there is no other file
	open   map[*serverConn]struct{}
	closed bool
	done   chan struct{} // closed by Close
}

var _ net.Listener = (*Listener)(nil)

// Addr is the address that was bound, with the port that the system chose for
// port 0.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// Close ends Accept. Connections stay open.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.done)
	if l.spare != nil {
		_ = l.spare.Close()
		l.spare = nil
	}
	return l.inner.Close()
}

// Connections is the number of open connections.
func (l *Listener) Connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// reserve opens the spare file.
func (l *Listener) reserve() {
	f, err := os.Open(os.DevNull)
	if err != nil {
		return // there is none left; tried again when it is needed next
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.spare != nil {
		_ = f.Close()
		return
	}
	l.spare = f
}

// Pauses after a failed accept, doubled each time.
const (
	acceptPause    = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// Accept waits for the next connection. Its error is final: the listener is
// closed or broken.
func (l *Listener) Accept() (net.Conn, error) {
	pause := acceptPause
	for {
		conn, err := l.inner.Accept()
		if err == nil && !crowded(conn) {
			if c := l.admit(conn); c != nil {
				return c, nil
			}
			continue
		}
		switch {
		case err == nil:
			// The pause stays short: closing is cheap, and there may be room again.
			pause = acceptPause
			l.reject("too_many_files")
			l.log.Error("a connection is refused: almost no file descriptor is left", "peer", conn.RemoteAddr().String())
			_ = conn.Close()
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
			l.reject("too_many_files")
			l.log.Error("a connection is refused: no file descriptor is left", "error", err)
			l.refuse()
		case errors.Is(err, syscall.ECONNABORTED), errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
			l.reject("no_memory")
			l.log.Error("a connection cannot be accepted", "error", err)
		default:
			return nil, err
		}
		select {
		case <-time.After(pause):
		case <-l.done:
			return nil, net.ErrClosed
		}
		pause = min(2*pause, acceptPauseMax)
	}
}

// refuse gives up the spare file to accept one connection and closes it, so
// that its peer knows at once instead of waiting in the backlog.
func (l *Listener) refuse() {
	l.mu.Lock()
	spare := l.spare
	l.spare = nil
	l.mu.Unlock()
	if spare != nil {
		_ = spare.Close()
		if d, ok := l.inner.(interface{ SetDeadline(time.Time) error }); ok {
			_ = d.SetDeadline(time.Now().Add(10 * time.Millisecond))
			if conn, err := l.inner.Accept(); err == nil {
				_ = conn.Close()
			}
			_ = d.SetDeadline(time.Time{})
		}
	}
	l.reserve()
}

// admit wraps a new connection, or closes it and returns nil if there are too
// many.
func (l *Listener) admit(raw net.Conn) net.Conn {
	c := &serverConn{Conn: withTimeout(raw, l.options.IOTimeout, l.options.IOTimeout), listener: l}
	l.mu.Lock()
	if l.options.MaxConnections > 0 && len(l.open) >= l.options.MaxConnections {
		l.mu.Unlock()
		l.reject("too_many_connections")
		l.log.Warn("a connection is refused: there are too many", "limit", l.options.MaxConnections, "peer", raw.RemoteAddr().String())
		_ = raw.Close()
		return nil
	}
	if l.open == nil {
		l.open = map[*serverConn]struct{}{}
	}
	l.open[c] = struct{}{}
	l.mu.Unlock()
	if l.tls != nil {
		return tls.Server(c, l.tls)
	}
	return c
}

// serverConn leaves the listener's set when it is closed.
type serverConn struct {
	net.Conn
	listener *Listener
	read     atomic.Int64
}

func (c *serverConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// BytesRead is how much was read so far.
func (c *serverConn) BytesRead() int64 { return c.read.Load() }

func (c *serverConn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.open, c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// NetConn returns the connection below.
func (c *serverConn) NetConn() net.Conn { return c.Conn }

// Serve calls handle on a goroutine of its own for each connection, after the
// TLS handshake, and closes the connection when handle returns. When ctx ends
// the listener is closed and the reads and writes of all connections fail;
// Serve returns when every handle has returned. The error is nil then.
func (l *Listener) Serve(ctx context.Context, handle func(ctx context.Context, conn net.Conn)) error {
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		running.Go(func() {
			defer conn.Close()
			release := Bind(ctx, conn)
			defer release()
			if tc, ok := conn.(*tls.Conn); ok && !l.handshake(ctx, tc) {
				return
			}
			handle(ctx, conn)
		})
	}
}

func (l *Listener) handshake(ctx context.Context, conn *tls.Conn) bool {
	limited, cancel := ctx, context.CancelFunc(func() {})
	if l.options.AcceptTimeout > 0 {
		limited, cancel = context.WithTimeout(ctx, l.options.AcceptTimeout)
	}
	defer cancel()
	err := conn.HandshakeContext(limited)
	if err == nil {
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	l.reject("tls_handshake")
	level := slog.LevelError
	if limited.Err() != nil && !l.options.LogTimeouts {
		level = slog.LevelDebug
	}
	l.log.Log(ctx, level, "TLS handshake failed", "peer", conn.RemoteAddr().String(), "error", err)
	return false
}
