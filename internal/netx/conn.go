package netx

import (
	"context"
	"net"
	"sync"
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
	limit time.Duration

	mu          sync.Mutex // guards setting of deadlines
	read, write time.Time  // deadlines set by the user
}

// withTimeout returns conn, or conn with a limit for each read and write.
func withTimeout(conn net.Conn, limit time.Duration) net.Conn {
	if limit <= 0 {
		return conn
	}
	return &timedConn{Conn: conn, limit: limit}
}

// NetConn returns the connection below, for looking at its socket.
func (c *timedConn) NetConn() net.Conn { return c.Conn }

func (c *timedConn) Read(p []byte) (int, error) {
	if err := c.arm(&c.read, c.Conn.SetReadDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// writePiece is how much of a write shares one time limit: a slow but living
// reader of a large body must not run into it.
const writePiece = 64 << 10

func (c *timedConn) Write(p []byte) (int, error) {
	done := 0
	for {
		if err := c.arm(&c.write, c.Conn.SetWriteDeadline); err != nil {
			return done, err
		}
		n, err := c.Conn.Write(p[done:min(len(p), done+writePiece)])
		done += n
		if err != nil || done == len(p) {
			return done, err
		}
	}
}

func (c *timedConn) arm(user *time.Time, set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := time.Now().Add(c.limit)
	if !user.IsZero() && user.Before(t) {
		t = *user
	}
	return set(t)
}

func (c *timedConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read, c.write = t, t
	return c.Conn.SetDeadline(t)
}

func (c *timedConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = t
	return c.Conn.SetReadDeadline(t)
}

func (c *timedConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write = t
	return c.Conn.SetWriteDeadline(t)
}
