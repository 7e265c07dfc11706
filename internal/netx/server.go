package netx

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/kagarilog/kagari/option"
)

// Server is the options of a listener. Address, port or path belong to the
// plugin.
type Server struct {
	Backlog        int
	SharePort      bool          // others may listen on the same port
	IOTimeout      time.Duration // longest wait for one read or write; 0 for no limit
	AcceptTimeout  time.Duration // for the TLS handshake
	LogTimeouts    bool
	Keepalive      bool
	MaxConnections int // at the same time; 0 for no limit
}

// Fields binds the options.
func (s *Server) Fields() []option.Field {
	return []option.Field{
		option.Int(&s.Backlog, "net.backlog", defaultBacklog,
			"Connections that may wait to be accepted. The system may allow fewer."),
		option.Bool(&s.SharePort, "net.share_port", false,
			"Let several listeners share the port; the system spreads connections over them."),
		option.Seconds(&s.IOTimeout, "net.io_timeout", "0s",
			"Close a connection on which nothing moves for this time. 0 means never."),
		option.Seconds(&s.AcceptTimeout, "net.accept_timeout", "10s",
			"Longest time for the TLS handshake of a new connection."),
		option.Bool(&s.LogTimeouts, "net.accept_timeout_log_error", true,
			"Report a handshake that took too long as an error. Otherwise it is a debug message."),
		option.Bool(&s.Keepalive, "net.keepalive", true,
			"Keep a connection open for further requests where the protocol has such."),
		option.Int(&s.MaxConnections, "net.max_connections", 0,
			"Most connections at the same time; further ones are closed at once and counted. 0 means no limit.").WithOurs(),
	}
}

// defaultBacklog is Fluent Bit's. Unless it is changed the system's own limit
// counts, which is never lower on the systems that are in use.
const defaultBacklog = 128

// ListenOptions is what a plugin adds to the options of a listener. All of it
// may be left out.
type ListenOptions struct {
	TLS  *TLS     // used if it is on
	ALPN []string // protocols offered in the TLS handshake
	// Mode is the permissions of a unix socket's file; 0 leaves them to the umask.
	Mode fs.FileMode
	Log  *slog.Logger
	// Reject counts connections that were refused, by reason: too_many_files,
	// too_many_connections, tls_handshake.
	Reject func(reason string)
}

func (o *ListenOptions) complete() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Reject == nil {
		o.Reject = func(string) {}
	}
}

// Check reports contradictions between the TLS options before anything is
// opened.
func (o ListenOptions) Check() error {
	if o.TLS == nil || !o.TLS.On {
		return nil
	}
	_, err := newServerTLS(*o.TLS, o.ALPN, nil)
	return err
}

// Listen opens a listener for "tcp" (address host:port, any host if empty) or
// "unix" (address a path). TLS files are read now, so that a missing one is
// known at the start.
func (s *Server) Listen(ctx context.Context, network, address string, o ListenOptions) (*Listener, error) {
	o.complete()
	l := &Listener{options: *s, log: o.Log, reject: o.Reject, done: make(chan struct{})}
	if o.TLS != nil && o.TLS.On {
		t, err := newServerTLS(*o.TLS, o.ALPN, o.Log)
		if err != nil {
			return nil, err
		}
		if err := t.load(); err != nil {
			return nil, err
		}
		l.tls = t.config()
	}
	if network == "unix" {
		if err := removeStale(network, address); err != nil {
			return nil, err
		}
	}
	lc := net.ListenConfig{KeepAlive: -1}
	if s.SharePort {
		lc.Control = sharePort
	}
	inner, err := lc.Listen(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s %s: %w", network, address, explainListen(address, err))
	}
	if s.Backlog > 0 && s.Backlog != defaultBacklog {
		setBacklog(inner, s.Backlog)
	}
	if err := chmodSocket(network, address, o.Mode); err != nil {
		_ = inner.Close()
		return nil, err
	}
	l.inner = inner
	l.reserve()
	return l, nil
}

// ListenPacket opens a socket for datagrams: "udp" (address host:port) or
// "unixgram" (address a path, whose file is removed on Close).
func (s *Server) ListenPacket(ctx context.Context, network, address string, mode fs.FileMode) (net.PacketConn, error) {
	if network == "unixgram" {
		if err := removeStale(network, address); err != nil {
			return nil, err
		}
	}
	var lc net.ListenConfig
	if s.SharePort {
		lc.Control = sharePort
	}
	conn, err := lc.ListenPacket(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s %s: %w", network, address, explainListen(address, err))
	}
	if err := chmodSocket(network, address, mode); err != nil {
		_ = conn.Close()
		return nil, err
	}
	if network == "unixgram" {
		return &unixgram{conn, address}, nil
	}
	return conn, nil
}

// unixgram removes the socket's file when it is closed, as listeners do.
type unixgram struct {
	net.PacketConn
	path string
}

func (u *unixgram) Close() error {
	err := u.PacketConn.Close()
	if rerr := os.Remove(u.path); err == nil && !errors.Is(rerr, fs.ErrNotExist) {
		err = rerr
	}
	return err
}

// SyscallConn gives access to the socket, for its options.
func (u *unixgram) SyscallConn() (syscall.RawConn, error) {
	return u.PacketConn.(syscall.Conn).SyscallConn()
}

// abstract tells whether a unix address has no file (Linux, unix(7)).
func abstract(path string) bool { return strings.HasPrefix(path, "@") }

func chmodSocket(network, path string, mode fs.FileMode) error {
	if mode == 0 || !strings.HasPrefix(network, "unix") || abstract(path) {
		return nil
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("set permissions of socket %q: %w", path, err)
	}
	return nil
}

// removeStale removes the socket file that a process left behind which did not
// end in peace. A socket that somebody listens on and a file that is no socket
// stay.
func removeStale(network, path string) error {
	if abstract(path) {
		return nil
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at socket %q: %w", path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen on %q: the file is there and is no socket", path)
	}
	conn, err := net.DialTimeout(network, path, time.Second)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("listen on %q: another process listens on it", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("listen on %q: cannot tell whether another process listens on it: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove stale socket: %w", err)
	}
	return nil
}

// explainListen adds what to do to the usual failures.
func explainListen(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; another process or another input listens there", err)
	case errors.Is(err, syscall.EACCES) && !strings.Contains(address, "/"):
		return fmt.Errorf("%w; ports below 1024 need the capability CAP_NET_BIND_SERVICE", err)
	}
	return err
}
