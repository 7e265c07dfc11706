package netx

import (
	"context"
	"crypto/tls"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// longAgo as a deadline ends reads and writes at once.
var longAgo = time.Unix(1, 0)

// Bind makes ctx end the reads and writes of conn: once ctx is done they fail
// with a timeout, now and later. stop takes that back and tells whether ctx
// was not done before; if it reports false the connection is of no more use.
func Bind(ctx context.Context, conn net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(longAgo) })
}

// timedConn gives every read and every write a time limit of its own. A
// deadline set on it counts as well; the earlier of the two ends the call.
type timedConn struct {
	net.Conn
	read, write half
	piece       int // of a write that shares one limit, in bytes
}

// half is one direction of a timedConn.
type half struct {
	limit time.Duration // 0 for none
	set   func(time.Time) error

	mu   sync.Mutex
	user time.Time // the deadline set from outside
}

// withTimeout returns conn, or conn with a limit for each read and write; 0
// means no limit.
func withTimeout(conn net.Conn, read, write time.Duration) net.Conn {
	if read <= 0 && write <= 0 {
		return conn
	}
	piece := writePiece
	if _, ok := conn.(net.PacketConn); ok && !isStream(conn) {
		piece = math.MaxInt // a datagram is one write
	}
	return &timedConn{
		Conn:  conn,
		piece: piece,
		read:  half{limit: read, set: conn.SetReadDeadline},
		write: half{limit: write, set: conn.SetWriteDeadline},
	}
}

// arm sets the deadline for the next call.
func (h *half) arm() error {
	if h.limit <= 0 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	t := time.Now().Add(h.limit)
	if !h.user.IsZero() && h.user.Before(t) {
		t = h.user
	}
	return h.set(t)
}

func (h *half) setDeadline(t time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.user = t
	return h.set(t)
}

// isStream tells streams of unix sockets from their datagrams, which are of one
// type.
func isStream(conn net.Conn) bool {
	switch conn.LocalAddr().Network() {
	case "udp", "unixgram":
		return false
	}
	return true
}

// NetConn returns the connection below, for looking at its socket.
func (c *timedConn) NetConn() net.Conn { return c.Conn }

func (c *timedConn) Read(p []byte) (int, error) {
	if err := c.read.arm(); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// writePiece is how much of a write shares one time limit, in bytes: a slow but
// living reader of a large body must not run into it.
const writePiece = 64 << 10

func (c *timedConn) Write(p []byte) (int, error) {
	if c.write.limit <= 0 {
		return c.Conn.Write(p)
	}
	done := 0
	for {
		if err := c.write.arm(); err != nil {
			return done, err
		}
		n, err := c.Conn.Write(p[done : min(len(p)-done, c.piece)+done])
		done += n
		if err != nil || done == len(p) {
			return done, err
		}
	}
}

func (c *timedConn) SetDeadline(t time.Time) error {
	if err := c.read.setDeadline(t); err != nil {
		return err
	}
	return c.write.setDeadline(t)
}

func (c *timedConn) SetReadDeadline(t time.Time) error  { return c.read.setDeadline(t) }
func (c *timedConn) SetWriteDeadline(t time.Time) error { return c.write.setDeadline(t) }

// countedConn leaves a count when it is closed.
type countedConn struct {
	net.Conn
	open   *atomic.Int64
	closed atomic.Bool
}

// NetConn returns the connection below.
func (c *countedConn) NetConn() net.Conn { return c.Conn }

func (c *countedConn) Close() error {
	if !c.closed.Swap(true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}

// overTLS tells whether bytes of conn's socket are those of TLS.
func overTLS(conn net.Conn) bool {
	for {
		if _, ok := conn.(*tls.Conn); ok {
			return true
		}
		below, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return false
		}
		conn = below.NetConn()
	}
}

// Reset closes a connection in a way that makes the peer's next write fail. A
// plain close lets one more write of a peer that never reads vanish.
func Reset(conn net.Conn) error {
	if tcp, ok := socketOf(conn).(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // Then close ends the connection with an RST.
	}
	return conn.Close()
}
