package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/kagarilog/kagari/internal/forwardproto"
	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/plugin"
)

// Times of a connection.
const (
	// idleAfter is how long a connection may be quiet before it gives its buffer
	// back.
	idleAfter = 5 * time.Second
	// stallAfter is how long a peer may stop inside a message.
	stallAfter = time.Minute
	// ackTimeout is how long a peer may take no acknowledgements.
	ackTimeout = 30 * time.Second
	// lingerFor is how long a connection that the peer has ended stays open for
	// acknowledgements that are still to come.
	lingerFor = time.Minute
	// lastFor is how long what arrives after the end is still taken.
	lastFor = 250 * time.Millisecond
)

// maxAckBacklog is how many bytes of acknowledgements may wait for a peer that
// does not read them before nothing more is read from it.
const maxAckBacklog = 256 << 10

// conn is one connection. Its goroutine reads and decodes; another one writes
// acknowledgements while there are some.
type conn struct {
	in    *Input
	net   net.Conn
	ctx   context.Context
	dec   decoder
	limit time.Time // of the handshake; zero outside of it
	last  time.Time // when to stop reading after the end; zero before it

	mu      sync.Mutex
	changed sync.Cond // of what follows
	backlog []byte    // acknowledgements to write
	spare   []byte    // the buffer that backlog is exchanged with
	pending int       // deliveries under way
	writing bool      // the writer runs
	acks    bool      // the peer asks for acknowledgements
	closed  bool
}

var _ acker = (*conn)(nil)

func newConn(ctx context.Context, in *Input, c net.Conn, out plugin.Emitter) *conn {
	k := &conn{in: in, net: c, ctx: ctx}
	k.changed.L = &k.mu
	k.dec = decoder{
		in:      stream{src: k, limit: in.maxValue, budget: &in.budget, left: -1, before: k.before, idle: true},
		out:     sink{ctx: ctx, emit: out, acks: k, tags: &in.tags, warn: k.refused},
		maxSize: in.cfg.maxMessage,
	}
	return k
}

// serve reads messages until the peer ends the connection or sends what is no
// message, or until the context ends.
func (c *conn) serve() {
	defer c.close()
	if c.in.secure() {
		if err := c.handshake(); err != nil {
			c.ended(err)
			return
		}
	}
	for {
		err := c.dec.message()
		if err == nil {
			continue
		}
		if err == errIdle {
			c.dec.in.idle = true
			c.dec.out.forget()
			continue
		}
		if ferr := c.before(); ferr != nil {
			err = ferr
		}
		c.ended(err)
		c.linger()
		return
	}
}

// ended tells why the connection ends.
func (c *conn) ended(err error) {
	if s, ok := asSinkError(err); ok {
		if s.lost > 0 {
			c.in.env.Stats.Reject("not_taken", s.lost)
			c.in.env.Log.Error("records are lost: the router does not take them any more, and their peer asks for no acknowledgements", "peer", c.peer(), "records", s.lost, "error", s.err)
		}
		return
	}
	if err == io.EOF || c.ctx.Err() != nil && !c.dec.inside {
		return
	}
	var m *forwardproto.Malformed
	switch {
	case errors.As(err, &m):
		c.in.env.Stats.Reject(m.Reason, 1)
		c.in.env.Log.Warn("a message is refused and its connection closed", "peer", c.peer(), "reason", m.Reason, "error", m.Text)
	case c.dec.inside:
		c.in.env.Stats.Reject("incomplete_message", 1)
		c.in.env.Log.Warn("a connection ended inside a message", "peer", c.peer(), "error", err)
	default:
		c.in.env.Log.Debug("a connection ended", "peer", c.peer(), "error", err)
	}
}

// refused tells of a message that was left out of a connection that goes on.
func (c *conn) refused(err error) {
	var m *forwardproto.Malformed
	if errors.As(err, &m) {
		c.in.env.Stats.Reject(m.Reason, 1)
		c.in.env.Log.Warn("a message is refused", "peer", c.peer(), "reason", m.Reason, "error", m.Text)
	}
}

func (c *conn) peer() string {
	if a := c.net.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}

// errIdle ends a read of a connection on which nothing moves.
var errIdle = errors.New("idle")

var (
	errStalled   = &forwardproto.Malformed{Reason: "stalled", Text: "the peer sent a part of a message and then nothing for " + stallAfter.String()}
	errHandshake = &forwardproto.Malformed{Reason: "handshake_timeout", Text: "the peer took too long to prove that it knows the shared key"}
)

// Read reads from the connection, with a time limit that fits what is waited
// for.
func (c *conn) Read(p []byte) (int, error) {
	var due time.Time // never, for an idle connection
	switch {
	case !c.limit.IsZero():
		due = c.limit
	case c.dec.inside:
		due = time.Now().Add(stallAfter)
	case !c.dec.in.idle:
		due = time.Now().Add(idleAfter)
	}
	if err := c.net.SetReadDeadline(due); err != nil {
		return 0, err
	}
	// The end of the context sets a deadline too, which may just have been undone.
	if c.ctx.Err() != nil {
		return c.readLast(p)
	}
	n, err := c.net.Read(p)
	if n > 0 {
		// A peer that sends a little now and then does not need more.
		c.dec.in.idle = c.dec.in.idle && n < len(p)
		return n, nil
	}
	if c.ctx.Err() != nil {
		return c.readLast(p)
	}
	var ne net.Error
	if err == nil || !errors.As(err, &ne) || !ne.Timeout() || due.IsZero() || time.Now().Before(due) {
		return 0, err
	}
	switch {
	case !c.limit.IsZero():
		return 0, errHandshake
	case c.dec.inside:
		return 0, errStalled
	}
	return 0, errIdle
}

// readLast reads what had arrived when the context ended: a peer that asks for
// no acknowledgement believes that it was taken. A peer that goes on sending is
// cut off after lastFor; it learns that from its next write.
func (c *conn) readLast(p []byte) (int, error) {
	if c.last.IsZero() {
		c.last = time.Now().Add(lastFor)
	}
	if time.Now().Before(c.last) {
		if n := netx.ReadArrived(c.net, p); n > 0 {
			return n, nil
		}
	}
	return 0, c.ctx.Err()
}

// before runs before each read: what was decoded goes out, and a peer that
// takes no acknowledgements must do so first.
func (c *conn) before() error {
	if n := c.dec.groups; n > 0 {
		c.dec.groups = 0
		c.in.env.Stats.Drop("group_marker", n)
		c.in.env.Log.Debug("markers of groups of records are left out, with the resource attributes in them", "peer", c.peer(), "markers", n)
	}
	if err := c.dec.out.flush(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.backlog) > maxAckBacklog && !c.closed {
		c.changed.Wait()
	}
	return nil
}

// expect says that a delivery is under way.
func (c *conn) expect() {
	c.mu.Lock()
	c.pending++
	c.mu.Unlock()
}

// delivered says that a delivery is done.
func (c *conn) delivered(acks []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending--
	c.queue(acks)
	c.changed.Broadcast()
}

// acknowledge sends acknowledgements.
func (c *conn) acknowledge(acks []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue(acks)
}

// queue hands acks to the writer. c.mu is held.
func (c *conn) queue(acks []byte) {
	if len(acks) == 0 || c.closed {
		return
	}
	c.acks = true
	c.backlog = append(c.backlog, acks...)
	if !c.writing {
		c.writing = true
		go c.write()
	}
}

// write writes acknowledgements until there are no more.
func (c *conn) write() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.backlog) > 0 && !c.closed {
		out := c.backlog
		c.backlog = c.spare[:0]
		c.mu.Unlock()
		err := c.send(out)
		c.mu.Lock()
		if cap(out) <= 4<<10 { // small enough to keep for each of many connections
			c.spare = out
		}
		if err != nil {
			// The reader learns it from its next read.
			c.closed = true
			_ = c.net.Close()
			if c.ctx.Err() == nil {
				c.in.env.Log.Debug("cannot send acknowledgements", "peer", c.peer(), "error", err)
			}
		}
		c.changed.Broadcast()
	}
	c.writing = false
	c.changed.Broadcast()
}

// send writes p within a time limit.
func (c *conn) send(p []byte) error {
	if err := c.net.SetWriteDeadline(time.Now().Add(ackTimeout)); err != nil {
		return err
	}
	if err := c.ctx.Err(); err != nil {
		return err
	}
	_, err := c.net.Write(p)
	return err
}

// linger waits for the acknowledgements that are still to come, but not for
// ever: the peer may be gone, and what it sent may be delivered much later.
func (c *conn) linger() {
	over := false
	wake := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		over = true
		c.changed.Broadcast()
	}
	c.dec.in.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == 0 && !c.writing {
		return
	}
	timer := time.AfterFunc(lingerFor, wake)
	defer timer.Stop()
	stop := context.AfterFunc(c.ctx, wake)
	defer stop()
	for (c.pending > 0 || c.writing) && !c.closed && !over {
		c.changed.Wait()
	}
}

// close ends the connection; acknowledgements that come later go nowhere.
func (c *conn) close() {
	c.dec.in.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.ctx.Err() != nil && !c.acks {
		_ = netx.Reset(c.net)
	} else {
		_ = c.net.Close()
	}
	for c.writing {
		c.changed.Wait()
	}
	c.backlog, c.spare = nil, nil
}

// handshake makes the peer prove that it knows the shared key, and a user's
// password if there are users.
func (c *conn) handshake() error {
	c.limit = time.Now().Add(c.in.handshakeTime())
	c.dec.in.limit = forwardproto.MaxHandshake
	defer func() { c.limit, c.dec.in.limit = time.Time{}, c.in.maxValue }()

	nonce, auth := []byte(forwardproto.NewNonce()), []byte(nil)
	if len(c.in.users) > 0 {
		auth = []byte(forwardproto.NewNonce())
	}
	if err := c.send(forwardproto.Helo{Nonce: nonce, Auth: auth, Keepalive: true}.Append(nil)); err != nil {
		return err
	}
	c.dec.inside = true
	v, err := c.dec.in.value()
	if err != nil {
		return err
	}
	c.dec.inside = false
	ping, err := forwardproto.ParsePing(v)
	if err != nil {
		return err
	}
	key := c.in.cfg.sharedKey
	if !forwardproto.SameDigest(ping.KeyDigest, forwardproto.KeyDigest(ping.Salt, ping.Hostname, nonce, key)) {
		return c.turnAway("wrong_shared_key", "shared_key mismatch")
	}
	if !c.in.knows(ping, auth) {
		return c.turnAway("wrong_password", "username/password mismatch")
	}
	host := []byte(c.in.cfg.hostname)
	return c.send(forwardproto.Pong{OK: true, Hostname: host,
		KeyDigest: []byte(forwardproto.KeyDigest(ping.Salt, host, nonce, key))}.Append(nil))
}

// turnAway tells the peer why it may not send.
func (c *conn) turnAway(reason, text string) error {
	if err := c.send(forwardproto.Pong{Reason: []byte(text)}.Append(nil)); err != nil {
		return err
	}
	return &forwardproto.Malformed{Reason: reason, Text: text}
}

// knows tells whether ping proves to know the password of a user, or that none
// is asked for.
func (in *Input) knows(ping forwardproto.Ping, auth []byte) bool {
	known := len(in.users) == 0
	for _, u := range in.users {
		if u.name == string(ping.User) &&
			forwardproto.SameDigest(ping.PasswordDigest, forwardproto.PasswordDigest(auth, u.name, u.password)) {
			known = true
		}
	}
	return known
}

var _ io.Reader = (*conn)(nil)
