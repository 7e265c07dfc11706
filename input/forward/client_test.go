package forward

import (
	"bufio"
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"testing"
	"time"
)

// What follows speaks the forward protocol without any code of the project, so
// that the two cannot agree on a mistake.

type (
	bin       []byte
	raw       []byte
	eventTime struct{ sec, nsec uint32 }
	dict      []any // keys and values in turn
	list      []any
)

// pack encodes values as msgpack.
func pack(values ...any) []byte {
	var b []byte
	for _, v := range values {
		b = packOne(b, v)
	}
	return b
}

func packOne(b []byte, v any) []byte {
	be := binary.BigEndian
	switch v := v.(type) {
	case nil:
		return append(b, 0xc0)
	case bool:
		if v {
			return append(b, 0xc3)
		}
		return append(b, 0xc2)
	case int:
		switch {
		case v >= 0 && v < 128:
			return append(b, byte(v))
		case v < 0:
			return be.AppendUint64(append(b, 0xd3), uint64(v))
		case v <= math.MaxUint32:
			return be.AppendUint32(append(b, 0xce), uint32(v))
		}
		return be.AppendUint64(append(b, 0xcf), uint64(v))
	case float64:
		return be.AppendUint64(append(b, 0xcb), math.Float64bits(v))
	case float32:
		return be.AppendUint32(append(b, 0xca), math.Float32bits(v))
	case string:
		if len(v) < 32 {
			b = append(b, 0xa0|byte(len(v)))
		} else {
			b = be.AppendUint32(append(b, 0xdb), uint32(len(v)))
		}
		return append(b, v...)
	case bin:
		return append(be.AppendUint32(append(b, 0xc6), uint32(len(v))), v...)
	case raw:
		return append(b, v...)
	case eventTime:
		return be.AppendUint32(be.AppendUint32(append(b, 0xd7, 0), v.sec), v.nsec)
	case list:
		if len(v) < 16 {
			b = append(b, 0x90|byte(len(v)))
		} else {
			b = be.AppendUint32(append(b, 0xdd), uint32(len(v)))
		}
		for _, item := range v {
			b = packOne(b, item)
		}
		return b
	case dict:
		if len(v) < 32 {
			b = append(b, 0x80|byte(len(v)/2))
		} else {
			b = be.AppendUint32(append(b, 0xdf), uint32(len(v)/2))
		}
		for _, item := range v {
			b = packOne(b, item)
		}
		return b
	}
	panic(fmt.Sprintf("cannot pack %T", v))
}

// unpack reads one value of the few kinds that servers send.
func unpack(r *bufio.Reader) (any, error) {
	c, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	text := func(n int) (any, error) {
		b := make([]byte, n)
		_, err := io.ReadFull(r, b)
		return string(b), err
	}
	items := func(n int) ([]any, error) {
		var out []any
		for range n {
			v, err := unpack(r)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
	switch {
	case c < 0x80:
		return int(c), nil
	case c < 0x90:
		v, err := items(2 * int(c&15))
		return dict(v), err
	case c < 0xa0:
		v, err := items(int(c & 15))
		return list(v), err
	case c < 0xc0:
		return text(int(c & 31))
	case c == 0xc0:
		return nil, nil
	case c == 0xc2 || c == 0xc3:
		return c == 0xc3, nil
	case c == 0xd9 || c == 0xc4:
		n, err := r.ReadByte()
		if err != nil {
			return nil, err
		}
		return text(int(n))
	}
	return nil, fmt.Errorf("unexpected type byte %#x", c)
}

func (d dict) get(key string) any {
	for i := 0; i+1 < len(d); i += 2 {
		if d[i] == key {
			return d[i+1]
		}
	}
	return nil
}

// client is a peer of the input.
type client struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func newClient(t testing.TB, c net.Conn) *client {
	t.Cleanup(func() { c.Close() })
	return &client{c, t, bufio.NewReader(c)}
}

// send writes messages.
func (c *client) send(messages ...any) {
	c.t.Helper()
	if _, err := c.Write(pack(messages...)); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// receive reads one value.
func (c *client) receive() any {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	v, err := unpack(c.r)
	if err != nil {
		c.t.Fatalf("receive: %v", err)
	}
	return v
}

// ack reads an acknowledgement.
func (c *client) ack() string {
	c.t.Helper()
	d, _ := c.receive().(dict)
	id, _ := d.get("ack").(string)
	return id
}

// wantClosed waits until the other side has closed the connection without
// saying anything more.
func (c *client) wantClosed() {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	v, err := unpack(c.r)
	if err == nil {
		c.t.Fatalf("%v came where the connection should be closed", v)
	}
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		c.t.Fatal("the connection was not closed")
	}
}

// wantSilence checks that nothing comes for a moment.
func (c *client) wantSilence() {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if v, err := unpack(c.r); err == nil {
		c.t.Fatalf("%v came where nothing was expected", v)
	} else if ne, ok := err.(net.Error); !ok || !ne.Timeout() {
		c.t.Fatalf("receive: %v", err)
	}
}

func sha(parts ...string) string {
	h := sha512.New()
	for _, p := range parts {
		io.WriteString(h, p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// login does the client's part of the handshake and returns the PONG.
func (c *client) login(key, user, password string) list {
	c.t.Helper()
	helo, _ := c.receive().(list)
	if len(helo) != 2 || helo[0] != "HELO" {
		c.t.Fatalf("the server opens with %v", helo)
	}
	opts := helo[1].(dict)
	nonce, auth := opts.get("nonce").(string), opts.get("auth").(string)
	digest := ""
	if auth != "" {
		digest = sha(auth, user, password)
	}
	c.send(list{"PING", "client.example", "somesalt", sha("somesalt", "client.example", nonce, key), user, digest})
	pong, _ := c.receive().(list)
	if len(pong) != 5 || pong[0] != "PONG" {
		c.t.Fatalf("the server answers %v", pong)
	}
	if pong[1] == true {
		if want := sha("somesalt", pong[3].(string), nonce, key); pong[4] != want {
			c.t.Errorf("the server's digest is %v", pong[4])
		}
	}
	return pong
}

// entries makes n packed entries of about size bytes each.
func entries(n, size int) []byte {
	pad := string(bytes.Repeat([]byte("x"), max(size-30, 0)))
	var b []byte
	for i := range n {
		b = packOne(b, list{eventTime{uint32(1700000000 + i), 5}, dict{"n", i, "log", pad}})
	}
	return slices.Clip(b)
}
