package forward

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// What follows is a server of the forward protocol without any code of the
// project, so that the two cannot agree on a mistake.

type (
	bin       []byte
	eventTime struct{ sec, nsec uint32 }
	dict      []any // keys and values in turn
	list      []any
)

// unpack reads one value.
func unpack(r *bufio.Reader) (any, error) {
	c, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	bytesOf := func(n int) []byte {
		b := make([]byte, n)
		if _, e := io.ReadFull(r, b); e != nil {
			err = io.ErrUnexpectedEOF
		}
		return b
	}
	number := func(width int) int {
		n := uint64(0)
		for _, x := range bytesOf(width) {
			n = n<<8 | uint64(x)
		}
		return int(n)
	}
	items := func(n int) []any {
		out := []any{}
		for range n {
			v, e := unpack(r)
			if e != nil {
				err = io.ErrUnexpectedEOF
				return nil
			}
			out = append(out, v)
		}
		return out
	}
	be := binary.BigEndian
	var v any
	switch {
	case c < 0x80:
		v = int(c)
	case c < 0x90:
		v = dict(items(2 * int(c&15)))
	case c < 0xa0:
		v = list(items(int(c & 15)))
	case c < 0xc0:
		v = string(bytesOf(int(c & 31)))
	case c == 0xc0:
	case c == 0xc2 || c == 0xc3:
		v = c == 0xc3
	case c >= 0xc4 && c <= 0xc6:
		v = bin(bytesOf(number(1 << (c - 0xc4))))
	case c == 0xcb:
		v = math.Float64frombits(be.Uint64(bytesOf(8)))
	case c >= 0xcc && c <= 0xcf:
		v = number(1 << (c - 0xcc))
	case c == 0xd7:
		b := bytesOf(9)
		v = eventTime{be.Uint32(b[1:]), be.Uint32(b[5:])}
	case c >= 0xd9 && c <= 0xdb:
		v = string(bytesOf(number(1 << (c - 0xd9))))
	case c == 0xdc || c == 0xdd:
		v = list(items(number(2 << (c & 1))))
	case c == 0xde || c == 0xdf:
		v = dict(items(2 * number(2<<(c&1))))
	case c >= 0xe0:
		v = int(int8(c))
	default:
		err = fmt.Errorf("unexpected type byte %#x", c)
	}
	return v, err
}

func (d dict) get(key string) any {
	for i := 0; i+1 < len(d); i += 2 {
		if d[i] == key {
			return d[i+1]
		}
	}
	return nil
}

// text shows a value for comparison.
func text(v any) string {
	switch v := v.(type) {
	case dict:
		var parts []string
		for i := 0; i+1 < len(v); i += 2 {
			parts = append(parts, fmt.Sprintf("%v:%s", v[i], text(v[i+1])))
		}
		return "{" + strings.Join(parts, " ") + "}"
	case list:
		var parts []string
		for _, item := range v {
			parts = append(parts, text(item))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case eventTime:
		return fmt.Sprintf("%d.%09d", v.sec, v.nsec)
	case string:
		return v
	case nil:
		return "nil"
	}
	return fmt.Sprintf("%v", v)
}

func packString(b []byte, s string) []byte {
	return append(append(b, 0xd9, byte(len(s))), s...)
}

func sha(parts ...string) string {
	h := sha512.New()
	for _, p := range parts {
		io.WriteString(h, p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// server takes messages.
type server struct {
	t testing.TB
	l net.Listener

	// Set before the first connection.
	key      string // with a key there is a handshake
	users    map[string]string
	once     bool                              // keepalive is false in HELO
	lie      bool                              // the server's digest is wrong
	answer   func(n int, id string) []byte     // to the message with the number n, from 0; nil for the right one
	accepted func(c net.Conn, n int) (ok bool) // of the connection with the number n

	mu       sync.Mutex
	messages []list
	raw      []byte // everything after the handshake
	logins   []string
	conns    []net.Conn
	wg       sync.WaitGroup
}

// newServer makes a server on a free port or, if it is given, a path. It does
// not accept before start.
func newServer(t testing.TB, unixPath string) *server {
	t.Helper()
	network, address := "tcp", "127.0.0.1:0"
	if unixPath != "" {
		network, address = "unix", unixPath
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, l: l}
	t.Cleanup(s.stop)
	return s
}

func (s *server) tls(cfg *tls.Config) *server {
	s.l = tls.NewListener(s.l, cfg)
	return s
}

func (s *server) start() *server {
	s.wg.Go(func() {
		for n := 0; ; n++ {
			c, err := s.l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			if s.accepted != nil && !s.accepted(c, n) {
				c.Close()
				continue
			}
			s.wg.Go(func() {
				defer c.Close()
				s.serve(c)
			})
		}
	})
	return s
}

func (s *server) stop() {
	s.l.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// port returns the port as text.
func (s *server) port() string {
	_, port, _ := net.SplitHostPort(s.l.Addr().String())
	return port
}

func (s *server) serve(c net.Conn) {
	var seen bytes.Buffer
	r := bufio.NewReader(io.TeeReader(c, &seen))
	if s.key != "" || s.users != nil {
		if !s.handshake(c, r) {
			return
		}
	}
	for {
		v, err := unpack(r)
		if err != nil {
			return
		}
		m, ok := v.(list)
		if !ok {
			s.t.Errorf("a message is %s", text(v))
			return
		}
		s.mu.Lock()
		n := len(s.messages)
		s.messages = append(s.messages, m)
		s.raw = bytes.Clone(seen.Bytes())
		s.mu.Unlock()
		opts, _ := m[len(m)-1].(dict)
		id, _ := opts.get("chunk").(string)
		var reply []byte
		if s.answer != nil {
			if reply = s.answer(n, id); reply == nil {
				return
			}
		} else if id != "" {
			reply = ackOf(id)
		}
		if _, err := c.Write(reply); err != nil {
			return
		}
	}
}

func ackOf(id string) []byte { return packString(packString([]byte{0x81}, "ack"), id) }

func (s *server) handshake(c net.Conn, r *bufio.Reader) bool {
	nonce, auth := "0123456789abcdef", ""
	if s.users != nil {
		auth = "saltsaltsaltsalt"
	}
	b := packString([]byte{0x92}, "HELO")
	b = packString(append(b, 0x83), "nonce")
	b = append(append(b, 0xc4, byte(len(nonce))), nonce...) // binary, as Fluentd
	b = packString(packString(b, "auth"), auth)
	b = packString(b, "keepalive")
	if s.once {
		b = append(b, 0xc2)
	} else {
		b = append(b, 0xc3)
	}
	c.Write(b)
	v, err := unpack(r)
	ping, ok := v.(list)
	if err != nil {
		return false // the client may well go away
	}
	if !ok || len(ping) != 6 || ping[0] != "PING" {
		s.t.Errorf("PING is %s, %v", text(v), err)
		return false
	}
	host, salt, digest := ping[1].(string), ping[2].(string), ping[3].(string)
	s.mu.Lock()
	s.logins = append(s.logins, host+" "+ping[4].(string))
	s.mu.Unlock()
	why := ""
	if digest != sha(salt, host, nonce, s.key) {
		why = "shared_key mismatch"
	} else if s.users != nil && ping[5] != sha(auth, ping[4].(string), s.users[ping[4].(string)]) {
		why = "username/password mismatch"
	}
	b = packString([]byte{0x95}, "PONG")
	if why != "" {
		b = packString(packString(packString(append(b, 0xc2), why), ""), "")
	} else {
		proof := sha(salt, "server", nonce, s.key)
		if s.lie {
			proof = sha("nothing")
		}
		b = packString(packString(packString(append(b, 0xc3), ""), "server"), proof)
	}
	c.Write(b)
	return why == ""
}

// got returns the messages so far.
func (s *server) got() []list {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]list(nil), s.messages...)
}

// show gives the messages as text, with packed entries unpacked and the ids of
// chunks replaced.
func (s *server) show() string {
	var b strings.Builder
	for _, m := range s.got() {
		m = append(list(nil), m...)
		if p, ok := m[1].(bin); ok {
			m[1] = append(list{"packed"}, unpackAll(s.t, p)...)
		}
		if opts, ok := m[len(m)-1].(dict); ok {
			opts = append(dict(nil), opts...)
			for i := 0; i < len(opts); i += 2 {
				if id, _ := opts[i+1].(string); opts[i] == "chunk" && len(id) == 24 {
					opts[i+1] = "ID"
				}
			}
			m[len(m)-1] = opts
		}
		b.WriteString(text(m) + "\n")
	}
	return b.String()
}

func unpackAll(t testing.TB, p []byte) (out list) {
	var src io.Reader
	var err error
	if p[0] == 0x1f {
		src, err = gzip.NewReader(bytes.NewReader(p))
	} else {
		var d *zstd.Decoder
		d, err = zstd.NewReader(bytes.NewReader(p), zstd.WithDecoderConcurrency(1))
		src = d
	}
	if err != nil {
		t.Errorf("compressed entries: %v", err)
		return nil
	}
	r := bufio.NewReader(src)
	for {
		v, err := unpack(r)
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Errorf("packed entries: %v", err)
			return out
		}
		out = append(out, v)
	}
}
