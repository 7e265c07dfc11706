package wire

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
)

// Names and layouts are those of the Forward Protocol Specification v1:
//
//	server                                            client
//	["HELO", {nonce, auth, keepalive}]            ->
//	          <-  ["PING", hostname, salt, hexdigest, username, password]
//	["PONG", ok, reason, hostname, hexdigest]     ->
//	                                              <-  [tag, entries, option]
//	{"ack": chunk}                                ->
//
// The first three only with a shared key, the last only if option has a chunk.
const (
	serverName  = "wire-server"
	serverNonce = "0123456789abcdef"
	userSalt    = "saltsaltsaltsalt"
)

// forwardConn reads values off a connection.
type forwardConn struct {
	net.Conn
	buf []byte
}

// next gives one value, which is valid until the next call.
func (c *forwardConn) next() (event.Value, error) {
	for {
		v, rest, err := event.Next(c.buf)
		if err == nil && len(v) > 0 {
			c.buf = rest
			return v, nil
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		if len(c.buf) > maxBody {
			return nil, errors.New("a value of more than 64 MiB")
		}
		more := make([]byte, 64<<10)
		n, err := c.Read(more)
		c.buf = append(c.buf, more[:n]...)
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

func (c *forwardConn) send(v any) error {
	_, err := c.Write(appendMsgpack(nil, v))
	return err
}

// forward keeps the messages of a connection and acknowledges them.
func (l *listener) forward(conn net.Conn) {
	c := &forwardConn{Conn: conn}
	if l.spec.Options.SharedKey != "" {
		if ok := l.shakeHands(c); !ok {
			return
		}
	}
	for {
		v, err := c.next()
		if err != nil {
			if len(c.buf) > 0 {
				l.note(fmt.Sprintf("forward: %d bytes that are no message: %v", len(c.buf), err))
			}
			return
		}
		m := &message{listener: l.spec.Name, proto: "forward", raw: append([]byte{}, v...), plain: append([]byte{}, v...), value: plainMsgpack(v)}
		rep, err := l.script.pick(m)
		if err != nil {
			l.note(err.Error())
		}
		m.ack = rep.Ack
		l.journal.add(m)
		chunk, asked := chunkID(m.value)
		if !asked {
			continue
		}
		switch rep.Ack {
		case "close":
			return
		case "none":
			continue
		case "wrong":
			chunk = "bm90LXRoaXMtb25l"
		}
		if c.send(map[string]any{"ack": chunk}) != nil {
			return
		}
	}
}

// chunkID is the option that asks for an acknowledgement.
func chunkID(v any) (id any, ok bool) {
	list, _ := v.([]any)
	if len(list) == 0 {
		return nil, false
	}
	option, _ := list[len(list)-1].(map[string]any)
	switch id := option["chunk"].(type) {
	case string, []byte:
		return id, true
	}
	return nil, false
}

// shakeHands checks the key and password of a client and tells it the result.
func (l *listener) shakeHands(c *forwardConn) (ok bool) {
	opt := l.spec.Options
	salt := ""
	if opt.Users != nil {
		salt = userSalt
	}
	if c.send([]any{"HELO", map[string]any{"nonce": []byte(serverNonce), "auth": []byte(salt), "keepalive": true}}) != nil {
		return false
	}
	v, err := c.next()
	if err != nil {
		l.note("forward: no PING: " + err.Error())
		return false
	}
	raw := append([]byte{}, v...)
	var f [6]string // fields of PING
	n := 0
	for x := range event.Value(raw).Items() {
		if s, isText := x.Str(); isText && n < len(f) {
			f[n] = string(s)
		}
		n++
	}
	host, clientSalt, user := f[1], f[2], ""
	why := ""
	switch {
	case n != 6 || f[0] != "PING":
		why = "not a PING"
	case f[3] != hexSHA512(clientSalt, host, serverNonce, opt.SharedKey):
		why = "digest mismatch"
	case opt.Users != nil:
		user = f[4]
		password, known := opt.Users[user]
		if !known || f[5] != hexSHA512(userSalt, user, password) {
			why = "user/password mismatch"
		}
	}
	ok = why == ""
	l.journal.add(&message{listener: l.spec.Name, proto: "forward", raw: raw, handshake: map[string]any{
		"ok": ok, "why": why, "host": host, "user": user,
	}})
	err = c.send([]any{"PONG", ok, why, serverName, hexSHA512(clientSalt, serverName, serverNonce, opt.SharedKey)})
	return ok && err == nil
}

func hexSHA512(parts ...string) string {
	h := sha512.New()
	for _, p := range parts {
		_, _ = io.WriteString(h, p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// forwarded describes a message in one of the modes Message, Forward and
// (Compressed) PackedForward. Of the options, chunk and size are checked and
// not compared.
func forwarded(x *exchange, m *message) {
	x.call = map[string]any{}
	if m.ack != "" {
		x.call["reply"] = m.ack
	}
	list, _ := m.value.([]any)
	if len(list) < 2 {
		x.call["problem"] = "not a forward message: " + abridged(shorten(m.value))
		return
	}
	x.call["tag"] = list[0]
	optionAt := 2
	switch entries := list[1].(type) {
	case []any:
		x.call["mode"], x.events = "forward", entries
	case string, []byte:
		x.call["mode"] = "packed"
	default:
		x.call["mode"] = "message"
		if len(list) < 3 {
			x.call["problem"] = "a message without a record"
			return
		}
		x.events = []any{[]any{list[1], list[2]}}
		optionAt = 3
	}
	option := map[string]any{}
	if len(list) > optionAt {
		option, _ = list[optionAt].(map[string]any)
	}
	if x.events == nil {
		compression, _ := option["compressed"].(string)
		packed, err := packedEntries(m.raw, compression)
		if err != nil {
			x.call["problem"] = "not understood: " + err.Error()
			return
		}
		x.events = packed
	}
	if len(option) == 0 {
		return
	}
	x.call["option"] = option
	if id, ok := option["chunk"]; ok {
		option["chunk"] = "<id>"
		if id == "" {
			option["chunk"] = "empty"
		}
	}
	if n, ok := option["size"]; ok {
		option["size"] = "<n>"
		if n != num(len(x.events)) {
			option["size"] = "wrong: " + abridged(n)
		}
	}
}

// packedEntries decodes the second element of a message from its bytes, as it
// may be a string that is no text.
func packedEntries(raw []byte, compression string) ([]any, error) {
	i := 0
	for v := range event.Value(raw).Items() {
		if i++; i < 2 {
			continue
		}
		data, _ := v.Str()
		data, err := decompress(compression, data)
		if err != nil {
			return nil, err
		}
		return decodeMsgpackSeq(data)
	}
	return nil, errors.New("no entries")
}

func TestForwardServer(t *testing.T) {
	l, j := played(t, `{"proto":"forward","kind":"forward","options":{"shared_key":"k","users":{"me":"pw"}},
		"replies":[{"reply":[{"ack":"wrong"},{"ack":"none"},{},{"ack":"close"}]}]}`, tls.Certificate{})
	dial := func(key, password string) (*forwardConn, string) {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", l.port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		c := &forwardConn{Conn: conn}
		if _, err := c.next(); err != nil { // HELO
			t.Fatal(err)
		}
		if err := c.send([]any{"PING", "host", []byte("\xff\x00"), hexSHA512("\xff\x00", "host", serverNonce, key),
			"me", hexSHA512(userSalt, "me", password)}); err != nil {
			t.Fatal(err)
		}
		v, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		return c, encode(plainMsgpack(v))
	}
	if _, pong := dial("other", "pw"); !strings.HasPrefix(pong, `["PONG", false, "digest mismatch", `) {
		t.Errorf("a wrong key: %s", pong)
	}
	if _, pong := dial("k", "other"); !strings.HasPrefix(pong, `["PONG", false, "user/password mismatch", `) {
		t.Errorf("a wrong password: %s", pong)
	}
	c, pong := dial("k", "pw")
	if !strings.HasPrefix(pong, `["PONG", true, "", "wire-server", `) {
		t.Fatalf("the right key: %s", pong)
	}
	ask := func(want string) {
		t.Helper()
		if err := c.send([]any{"tag", []any{[]any{"t", map[string]any{}}}, map[string]any{"chunk": "id1"}}); err != nil {
			t.Fatal(err)
		}
		if want == "" {
			return
		}
		v, err := c.next()
		got := encode(plainMsgpack(v))
		if errors.Is(err, io.EOF) {
			got = "closed"
		}
		if got != want {
			t.Errorf("acknowledged with %s, want %s", got, want)
		}
	}
	ask(`{"ack": "bm90LXRoaXMtb25l"}`)
	ask("")
	ask(`{"ack": "id1"}`)
	ask("closed")
	heard(t, j, 7)
}

func TestForwardModes(t *testing.T) {
	entries := appendMsgpack(appendMsgpack(nil, []any{"t1", map[string]any{}}), []any{"t2", map[string]any{}})
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(entries)
	_ = z.Close()
	f := func(v []any, want string) {
		t.Helper()
		raw := appendMsgpack(nil, v)
		all, err := decodeMsgpackSeq(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := judged(t, `{"proto":"forward"}`, &message{listener: "PORT", proto: "forward", raw: raw, value: all[0]}); got != want {
			t.Errorf("\n- %s\n+ %s", want, got)
		}
	}
	events := `"events": [["t1", {}], ["t2", {}]]}]`
	f([]any{"tag", []any{[]any{"t1", map[string]any{}}, []any{"t2", map[string]any{}}}}, `[{"call": {"mode": "forward", "tag": "tag"}, `+events)
	f([]any{"tag", entries}, `[{"call": {"mode": "packed", "tag": "tag"}, `+events)
	f([]any{"tag", packed.Bytes(), map[string]any{"compressed": "gzip", "chunk": ""}},
		`[{"call": {"mode": "packed", "option": {"chunk": "empty", "compressed": "gzip"}, "tag": "tag"}, `+events)
	f([]any{"tag", true, map[string]any{}, map[string]any{"size": "2"}},
		`[{"call": {"mode": "message", "option": {"size": "wrong: \"2\""}, "tag": "tag"}, "events": [[true, {}]]}]`)
	f([]any{"tag", true}, `[{"call": {"mode": "message", "problem": "a message without a record", "tag": "tag"}}]`)
	f([]any{"tag", entries[:3]}, `[{"call": {"mode": "packed", "problem": "not understood: unexpected EOF", "tag": "tag"}}]`)
	f([]any{"tag"}, `[{"call": {"problem": "not a forward message: [\"tag\"]"}}]`)
}
