package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/forwardproto"
	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/plugin"
)

const (
	// handshakeTime limits the handshake where net.connect_timeout is off.
	handshakeTime = 10 * time.Second
	// window is how many messages are sent before their acknowledgements are read.
	// More could block both sides: the server on acknowledgements that nobody
	// reads, this one on messages.
	window = 64
	// helloTime is how long a new connection is watched for a server that wants a
	// handshake which is not configured, or closes at once. Without it such a
	// server would swallow data in silence.
	helloTime = 50 * time.Millisecond
)

// node is one server with the connections to it.
type node struct {
	peer
	name       string
	weight     int
	ackTimeout time.Duration
	dialer     *netx.Dialer
	pool       *netx.Pool
}

// newNode makes a node for a host:port, or for a unix socket.
func newNode(p peer, name string, c *netx.Client, t *netx.TLS, host string, port int, unixPath string, env *plugin.Env) (*node, error) {
	if err := p.complete(); err != nil {
		return nil, err
	}
	d, err := netx.NewDialer(c, t, env.Log)
	if err != nil {
		return nil, err
	}
	n := &node{peer: p, name: name, weight: 1, dialer: d}
	if unixPath != "" {
		n.pool = netx.NewPoolFunc(*c, func(ctx context.Context) (net.Conn, error) {
			return d.DialPlain(ctx, "unix", unixPath)
		})
		return n, nil
	}
	if port < 1 || port > 65535 {
		return nil, fmt.Errorf("port %d is not between 1 and 65535", port)
	}
	n.pool = netx.NewPool(d, "tcp", netx.HostPort(host, port))
	return n, nil
}

// unsentError says that the server cannot have taken the message as a whole, so
// that another one may be tried at once.
type unsentError struct{ err error }

func (e *unsentError) Error() string { return e.err.Error() }
func (e *unsentError) Unwrap() error { return e.err }

// send delivers a chunk.
func (n *node) send(ctx context.Context, c *event.Chunk) (lostMeta bool, err error) {
	m, err := n.encode(c)
	if err != nil {
		return false, err
	}
	defer m.free()
	conn, err := n.pool.Get(ctx)
	if err != nil {
		return false, &unsentError{err}
	}
	err = n.exchange(ctx, conn, m)
	if err != nil && conn.Reused() && ctx.Err() == nil && broken(err) {
		// The server closed the idle connection in the moment it was used again.
		if conn, err = n.pool.New(ctx); err != nil {
			return false, &unsentError{err}
		}
		err = n.exchange(ctx, conn, m)
	}
	return m.lostMeta, err
}

// broken tells whether err is what a closed connection gives, and no events
// were acknowledged.
func broken(err error) bool {
	var partial *plugin.PartialError
	return !errors.As(err, &partial) && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET))
}

// session is what a connection that has served is remembered by.
type session struct {
	once bool // the server wants no second message
}

// exchange sends m over conn and waits for what the server has to say to it.
// Afterwards conn is closed or back in the pool.
func (n *node) exchange(ctx context.Context, conn *netx.PoolConn, m *message) error {
	release := netx.Bind(ctx, conn)
	err := n.talk(ctx, conn, m)
	if !release() || err != nil {
		_ = conn.Close()
		if err != nil && ctx.Err() != nil && !partial(err) {
			err = ctx.Err()
		}
		return err
	}
	if s, _ := conn.State.(*session); s.once {
		return conn.Close()
	}
	n.pool.Put(conn)
	return nil
}

func partial(err error) bool {
	var p *plugin.PartialError
	return errors.As(err, &p)
}

func (n *node) talk(ctx context.Context, conn *netx.PoolConn, m *message) error {
	fresh := conn.State == nil
	if fresh {
		s := &session{}
		if n.secure() {
			if err := n.handshake(ctx, conn, s); err != nil {
				return &unsentError{fmt.Errorf("handshake with %s: %w", n.name, err)}
			}
		}
		conn.State = s
	}
	if m.perRecord() && n.requireAck {
		return n.sendRecords(ctx, conn, m)
	}
	out := net.Buffers{m.head, m.body, m.tail}
	if _, err := out.WriteTo(conn.Conn); err != nil {
		return &unsentError{fmt.Errorf("send %d bytes to %s: %w", m.size(), n.name, err)}
	}
	switch {
	case n.requireAck:
		return n.waitAck(ctx, conn, func(id []byte) bool { return string(id) == m.chunk })
	case fresh && !n.secure():
		return n.watch(ctx, conn)
	}
	return nil
}

// deadline limits the reads of conn, unless ctx has ended, which has set a
// limit of its own.
func deadline(ctx context.Context, conn net.Conn, t time.Time) error {
	if err := conn.SetReadDeadline(t); err != nil {
		return err
	}
	return ctx.Err()
}

// handshake proves to the server that this side knows the key, and checks that
// the server does.
func (n *node) handshake(ctx context.Context, conn *netx.PoolConn, s *session) error {
	limit := n.dialer.Options().ConnectTimeout
	if limit <= 0 {
		limit = handshakeTime
	}
	if err := deadline(ctx, conn, time.Now().Add(limit)); err != nil {
		return err
	}
	v, err := read(conn)
	if err != nil {
		return fmt.Errorf("read HELO: %w", err)
	}
	helo, err := forwardproto.ParseHelo(v)
	if err != nil {
		return err
	}
	s.once = !helo.Keepalive
	salt, host := []byte(forwardproto.NewNonce()), []byte(n.hostname)
	ping := forwardproto.Ping{Hostname: host, Salt: salt,
		KeyDigest: []byte(forwardproto.KeyDigest(salt, host, helo.Nonce, n.sharedKey))}
	if len(helo.Auth) > 0 {
		ping.User = []byte(n.user)
		ping.PasswordDigest = []byte(forwardproto.PasswordDigest(helo.Auth, n.user, n.password))
	}
	if _, err := conn.Write(ping.Append(nil)); err != nil {
		return fmt.Errorf("send PING: %w", err)
	}
	if v, err = read(conn); err != nil {
		return fmt.Errorf("read PONG: %w; does the server know the same shared_key?", err)
	}
	pong, err := forwardproto.ParsePong(v)
	if err != nil {
		return err
	}
	if !pong.OK {
		return fmt.Errorf("the server refuses: %q", pong.Reason)
	}
	if !forwardproto.SameDigest(pong.KeyDigest, forwardproto.KeyDigest(salt, pong.Hostname, helo.Nonce, n.sharedKey)) {
		return errors.New("the server does not know the shared_key")
	}
	return deadline(ctx, conn, time.Time{})
}

// waitAck reads an acknowledgement and gives its id to mine.
func (n *node) waitAck(ctx context.Context, conn *netx.PoolConn, mine func(id []byte) bool) error {
	limit := time.Time{}
	if n.ackTimeout > 0 {
		limit = time.Now().Add(n.ackTimeout)
	}
	if err := deadline(ctx, conn, limit); err != nil {
		return err
	}
	v, err := read(conn)
	if err != nil {
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() && ctx.Err() == nil {
			return fmt.Errorf("%s did not acknowledge a chunk in time (ack_response_timeout, net.io_timeout): %w", n.name, err)
		}
		return fmt.Errorf("read acknowledgement of %s: %w", n.name, err)
	}
	id, ok := forwardproto.ParseAck(v)
	switch {
	case ok && mine(id):
		return deadline(ctx, conn, time.Time{})
	case ok:
		return fmt.Errorf("%s acknowledged %q, which is not what was sent", n.name, id)
	case forwardproto.IsHelo(v):
		return errNoKey(n.name)
	}
	return fmt.Errorf("%s answered with a value of kind %s instead of an acknowledgement", n.name, v.Kind())
}

func errNoKey(name string) error {
	return fmt.Errorf("%s wants a handshake, but neither shared_key nor empty_shared_key is given", name)
}

// sendRecords sends messages of one record each and waits for the
// acknowledgement of each. Those that are missing after a failure are named in
// the error.
func (n *node) sendRecords(ctx context.Context, conn *netx.PoolConn, m *message) error {
	acked := make([]bool, len(m.ends))
	start := 0
	var err error
	for from := 0; from < len(m.ends) && err == nil; from += window {
		to := min(from+window, len(m.ends))
		end := m.ends[to-1]
		if _, err = conn.Write(m.body[start:end]); err != nil {
			err = &unsentError{fmt.Errorf("send %d bytes to %s: %w", end-start, n.name, err)}
			break
		}
		start = end
		for i := from; i < to && err == nil; i++ {
			err = n.waitAck(ctx, conn, func(id []byte) bool {
				index, ok := m.recordIndex(id)
				if !ok || acked[index] {
					return false
				}
				acked[index] = true
				return true
			})
		}
	}
	if err == nil || !slices.Contains(acked, true) {
		return err
	}
	var missing []int
	for i, ok := range acked {
		if !ok {
			missing = append(missing, i)
		}
	}
	return plugin.Partial(err, missing)
}

// watch looks whether a server without acknowledgements says or does something
// that means that it took nothing.
func (n *node) watch(ctx context.Context, conn *netx.PoolConn) error {
	if err := deadline(ctx, conn, time.Now().Add(helloTime)); err != nil {
		return err
	}
	v, err := read(conn)
	var ne net.Error
	switch {
	case err != nil && errors.As(err, &ne) && ne.Timeout():
		return deadline(ctx, conn, time.Time{})
	case err != nil:
		return fmt.Errorf("%s closed the connection at once: %w", n.name, err)
	case forwardproto.IsHelo(v):
		return errNoKey(n.name)
	}
	return fmt.Errorf("%s answered with a value of kind %s where nothing was expected", n.name, v.Kind())
}

// read reads one value, which must fit the connection's buffer.
func read(conn *netx.PoolConn) (event.Value, error) {
	for have := 1; ; {
		if _, err := conn.Reader.Peek(have); err != nil {
			if err == io.EOF && have > 1 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		have = conn.Reader.Buffered()
		b, _ := conn.Reader.Peek(have)
		v, _, err := event.Next(b)
		if err == nil {
			v = slices.Clone(v)
			_, _ = conn.Reader.Discard(len(v))
			return v, nil
		}
		if err != io.ErrUnexpectedEOF {
			return nil, err
		}
		have++
	}
}
