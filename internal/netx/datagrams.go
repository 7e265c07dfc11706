package netx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// ErrMessageSize is wrapped by the error for a datagram that is larger than the
// network takes, whenever it is sent.
var ErrMessageSize = errors.New("the message is too large for a datagram")

// Datagrams sends datagrams to one address. It is safe for concurrent use.
type Datagrams struct {
	dialer  *Dialer
	network string
	address string
	named   bool // the address holds a name, which may come to mean another one

	mu    sync.Mutex
	conn  net.Conn
	since time.Time
}

// datagramStall is how long a datagram waits for a unix socket whose reader is
// behind, without net.io_timeout. Others never wait.
const datagramStall = 5 * time.Second

// resolveAgain is how long a name's address is used.
const resolveAgain = time.Minute

// NewDatagrams makes a sender to a host:port ("udp") or a path ("unixgram"); it
// opens nothing.
func NewDatagrams(d *Dialer, network, address string) *Datagrams {
	host, _, err := net.SplitHostPort(address)
	_, ipErr := netip.ParseAddr(host)
	if d.writeLimit <= 0 {
		d = d.WithLimits(d.readLimit, datagramStall)
	}
	return &Datagrams{dialer: d, network: network, address: address, named: err == nil && ipErr != nil}
}

// Send sends p as one datagram. An error may be that of an earlier one, which
// the other side's system refused in the meantime (ECONNREFUSED).
func (s *Datagrams) Send(ctx context.Context, p []byte) error {
	conn, err := s.get(ctx)
	if err != nil {
		return err
	}
	_, err = conn.Write(p)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EMSGSIZE):
		return fmt.Errorf("send %d bytes to %s: %w", len(p), s.address, ErrMessageSize)
	}
	s.drop(conn)
	return fmt.Errorf("send to %s: %w", s.address, err)
}

func (s *Datagrams) get(ctx context.Context) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil && (!s.named || time.Since(s.since) < resolveAgain) {
		return s.conn, nil
	}
	conn, err := s.dialer.DialPlain(ctx, s.network, s.address)
	if err != nil {
		if s.conn != nil && ctx.Err() == nil {
			s.since = time.Now()
			return s.conn, nil // the name cannot be looked up now; the old address serves on
		}
		return nil, err
	}
	if s.conn != nil {
		_ = s.conn.Close()
	}
	s.conn, s.since = conn, time.Now()
	return conn, nil
}

func (s *Datagrams) drop(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == conn {
		_ = conn.Close()
		s.conn = nil
	}
}

// Close closes the socket.
func (s *Datagrams) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	s.conn = nil
	return err
}
