package netx

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Pool keeps the idle connections to one destination of a stream protocol. It
// is safe for concurrent use. Nothing runs in it but a timer while connections
// are idle.
type Pool struct {
	// OneWay says of a protocol that the other side has nothing to say: what it
	// says all the same is read and thrown away when a connection is used again.
	// Set it before the first use.
	OneWay bool

	dial   func(ctx context.Context) (net.Conn, error)
	client Client

	open atomic.Int64 // connections, idle or in use

	mu     sync.Mutex
	idle   []*PoolConn // the one used last is at the end
	timer  *time.Timer // closes the idle ones in time; nil when there are none
	closed bool
}

// NewPool makes a pool of connections to address; see [Dialer.Dial].
func NewPool(d *Dialer, network, address string) *Pool {
	return NewPoolFunc(d.Options(), func(ctx context.Context) (net.Conn, error) {
		return d.Dial(ctx, network, address)
	})
}

// NewPoolFunc makes a pool of connections that dial makes, with what c says of
// keeping them.
func NewPoolFunc(c Client, dial func(ctx context.Context) (net.Conn, error)) *Pool {
	return &Pool{dial: dial, client: c}
}

// PoolConn is a connection of a pool. Whoever got it owns it until Put or
// Close.
type PoolConn struct {
	net.Conn
	// Reader reads from the connection and is kept with it.
	Reader *bufio.Reader
	// State is what the protocol keeps with the connection, such as the outcome
	// of its handshake; nil on a new one.
	State any

	pool   *Pool
	closed atomic.Bool
	uses   int
	since  time.Time // of being idle
}

// Close closes the connection.
func (c *PoolConn) Close() error {
	if !c.closed.Swap(true) {
		c.pool.open.Add(-1)
	}
	return c.Conn.Close()
}

// Reused tells whether the connection served before. If it fails before the
// other side can have acted, trying once more on another one is no real retry.
func (c *PoolConn) Reused() bool { return c.uses > 0 }

// ErrPoolClosed is returned by Get after Close.
var ErrPoolClosed = errors.New("the connection pool is closed")

// readBuffer is for answers such as acknowledgements, in bytes.
const readBuffer = 4 << 10

// Get returns an idle connection that the other side has not closed, or makes
// a new one.
func (p *Pool) Get(ctx context.Context) (*PoolConn, error) {
	for {
		c, err := p.pop()
		if err != nil {
			return nil, err
		}
		if c == nil {
			break
		}
		if p.OneWay {
			drain(c.Conn)
		}
		if time.Since(c.since) < p.client.KeepaliveIdle && c.Reader.Buffered() == 0 && alive(c.Conn) {
			return c, nil
		}
		_ = c.Close()
	}
	return p.New(ctx)
}

// New makes a connection without looking for an idle one.
func (p *Pool) New(ctx context.Context) (*PoolConn, error) {
	conn, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	p.open.Add(1)
	return &PoolConn{Conn: conn, Reader: bufio.NewReaderSize(conn, readBuffer), pool: p}, nil
}

// Connections is how many connections are open, idle or in use.
func (p *Pool) Connections() int { return int(p.open.Load()) }

func (p *Pool) pop() (*PoolConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrPoolClosed
	}
	n := len(p.idle)
	if n == 0 {
		return nil, nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c, nil
}

// Send calls f with a writer to a connection, for protocols without answers,
// and gives the connection back. An error of a connection that served before,
// which the other side may have closed at the same moment, makes it call f once
// more with a new one. ctx ends writes that wait.
func (p *Pool) Send(ctx context.Context, f func(w io.Writer) error) error {
	c, err := p.Get(ctx)
	if err != nil {
		return err
	}
	if c.Reused() {
		if err = p.send(ctx, c, f); err == nil || ctx.Err() != nil || !isBroken(err) {
			return err
		}
		if c, err = p.New(ctx); err != nil {
			return err
		}
	}
	return p.send(ctx, c, f)
}

func (p *Pool) send(ctx context.Context, c *PoolConn, f func(w io.Writer) error) error {
	stop := Bind(ctx, c)
	err := f(c)
	if !stop() && err != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	if err != nil || ctx.Err() != nil {
		_ = c.Close()
		return err
	}
	p.Put(c)
	return nil
}

// isBroken tells whether an error says that the other side is gone.
func isBroken(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
}

// Put gives a connection back on which nothing is under way; one that failed
// must be closed instead. It is kept for the next Get or closed, as the
// net.keepalive options say.
func (p *Pool) Put(c *PoolConn) {
	c.uses++
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || !p.client.Keepalive || p.client.KeepaliveIdle <= 0 ||
		p.client.KeepaliveUses > 0 && c.uses > p.client.KeepaliveUses {
		_ = c.Close()
		return
	}
	c.since = time.Now()
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(p.client.KeepaliveIdle, p.reap)
	}
}

// reap closes the connections whose time is up and comes again for the rest.
func (p *Pool) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := 0
	for old < len(p.idle) && time.Since(p.idle[old].since) >= p.client.KeepaliveIdle {
		_ = p.idle[old].Close()
		old++
	}
	n := copy(p.idle, p.idle[old:])
	clear(p.idle[n:])
	p.idle = p.idle[:n]
	if p.timer == nil {
		return
	}
	if n == 0 {
		p.timer = nil
		return
	}
	p.timer.Reset(p.client.KeepaliveIdle - time.Since(p.idle[0].since))
}

// Close closes the idle connections, and those in use when they are put back.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	for _, c := range p.idle {
		_ = c.Close()
	}
	p.idle = nil
	return nil
}

// alive tells whether an idle connection can be used: the other side has not
// closed it and has said nothing that would be taken for an answer. Messages of
// TLS itself, such as session tickets, are allowed.
func alive(conn net.Conn) bool {
	switch peek(conn) {
	case peekQuiet:
		return true
	case peekClosed:
		return false
	}
	if _, ok := conn.(*tls.Conn); !ok && havePeek {
		return false
	}
	// A deadline in the past would end the read before it looks.
	if conn.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return false
	}
	var one [1]byte
	n, err := conn.Read(one[:])
	var ne net.Error
	return n == 0 && errors.As(err, &ne) && ne.Timeout() && conn.SetReadDeadline(time.Time{}) == nil
}

// drain reads what there is, within reason, and throws it away.
func drain(conn net.Conn) {
	var buf [4 << 10]byte
	for range 64 {
		if peek(conn) != peekUnknown || conn.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
			break
		}
		if n, _ := conn.Read(buf[:]); n == 0 {
			break
		}
	}
	_ = conn.SetReadDeadline(time.Time{})
}

// What peek found out about a socket.
type peeked int

const (
	peekQuiet   peeked = iota // open, nothing to read
	peekClosed                // closed or broken
	peekUnknown               // something to read, or no way to tell
)

// socketOf returns the connection with the socket, below TLS and timeouts.
func socketOf(conn net.Conn) net.Conn {
	for {
		below, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = below.NetConn()
	}
}
