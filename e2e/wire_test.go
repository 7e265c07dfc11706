package e2e

import (
	"encoding/binary"
	"net"
	"strconv"
	"testing"
	"time"
)

// msgString encodes a string as msgpack (str 32).
func msgString(s string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0xdb}, uint32(len(s))), s...)
}

// message is a Message of the forward protocol: [tag, time, {key: value}].
func message(tag, key, value string) []byte {
	b := append([]byte{0x93}, msgString(tag)...)
	b = binary.BigEndian.AppendUint32(append(b, 0xce), 1700000000)
	b = append(b, 0x81)
	b = append(b, msgString(key)...)
	return append(b, msgString(value)...)
}

// post is a request of HTTP/1.1 with a body.
func post(path, kind, body string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: " + kind + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// dial opens a TCP connection that lasts as long as the test.
func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// say opens a connection and sends something on it.
func say(t *testing.T, address, text string) net.Conn {
	t.Helper()
	c := dial(t, address)
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return c
}
