package forwardproto

import (
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"github.com/kagarilog/kagari/event"
)

// MaxHandshake is how long a message of the handshake may be, in bytes.
const MaxHandshake = 8 << 10

// NewNonce makes 16 random characters for a nonce or a salt. They are text, so
// that it does not matter whether a peer reads strings as text or as bytes.
func NewNonce() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// KeyDigest proves to know the shared key; hostname is that of the side that
// proves it.
func KeyDigest(salt, hostname, nonce []byte, key string) string {
	return digest(salt, hostname, nonce, []byte(key))
}

// PasswordDigest proves to know a user's password.
func PasswordDigest(auth []byte, user, password string) string {
	return digest(auth, []byte(user), []byte(password))
}

func digest(parts ...[]byte) string {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// SameDigest compares in a time that tells nothing about the wanted digest.
func SameDigest(got []byte, want string) bool {
	return subtle.ConstantTimeCompare(got, []byte(want)) == 1
}

// Helo is what a server opens the handshake with.
type Helo struct {
	Nonce     []byte
	Auth      []byte // salt of the password digest; empty if no user is asked for
	Keepalive bool
}

// Append appends the message.
func (h Helo) Append(dst []byte) []byte {
	dst = event.AppendArrayHeader(dst, 2)
	dst = event.AppendString(dst, "HELO")
	dst = event.AppendMapHeader(dst, 3)
	dst = event.AppendString(dst, "nonce")
	dst = event.AppendString(dst, h.Nonce)
	dst = event.AppendString(dst, "auth")
	dst = event.AppendString(dst, h.Auth)
	dst = event.AppendString(dst, "keepalive")
	return event.AppendBool(dst, h.Keepalive)
}

// IsHelo tells whether v is a HELO, well-formed or not.
func IsHelo(v event.Value) bool {
	_, err := fields(v, "HELO", 2)
	return err == nil
}

// ParseHelo reads a HELO.
func ParseHelo(v event.Value) (Helo, error) {
	h := Helo{Keepalive: true}
	f, err := fields(v, "HELO", 2)
	if err != nil {
		return h, err
	}
	if f[1].Kind() != event.KindMap {
		return h, badHandshake("HELO has no option map")
	}
	for key, val := range f[1].Pairs() {
		name, _ := key.Str()
		switch string(name) {
		case "nonce":
			h.Nonce, _ = val.Str()
		case "auth":
			h.Auth, _ = val.Str()
		case "keepalive":
			if b, ok := val.Bool(); ok {
				h.Keepalive = b
			}
		}
	}
	if h.Nonce == nil {
		return h, badHandshake("HELO has no nonce")
	}
	return h, nil
}

// Ping is the client's proof.
type Ping struct {
	Hostname       []byte
	Salt           []byte
	KeyDigest      []byte
	User           []byte
	PasswordDigest []byte
}

// Append appends the message.
func (p Ping) Append(dst []byte) []byte {
	dst = event.AppendArrayHeader(dst, 6)
	dst = event.AppendString(dst, "PING")
	for _, s := range [][]byte{p.Hostname, p.Salt, p.KeyDigest, p.User, p.PasswordDigest} {
		dst = event.AppendString(dst, s)
	}
	return dst
}

// ParsePing reads a PING.
func ParsePing(v event.Value) (p Ping, err error) {
	f, err := fields(v, "PING", 6)
	if err != nil {
		return p, err
	}
	for i, to := range []*[]byte{&p.Hostname, &p.Salt, &p.KeyDigest, &p.User, &p.PasswordDigest} {
		var ok bool
		if *to, ok = f[i+1].Str(); !ok {
			return p, badHandshake("field %d of PING is not a string", i+1)
		}
	}
	return p, nil
}

// Pong is the server's verdict and its own proof.
type Pong struct {
	OK        bool
	Reason    []byte // why not
	Hostname  []byte
	KeyDigest []byte
}

// Append appends the message.
func (p Pong) Append(dst []byte) []byte {
	dst = event.AppendArrayHeader(dst, 5)
	dst = event.AppendString(dst, "PONG")
	dst = event.AppendBool(dst, p.OK)
	dst = event.AppendString(dst, p.Reason)
	dst = event.AppendString(dst, p.Hostname)
	return event.AppendString(dst, p.KeyDigest)
}

// ParsePong reads a PONG.
func ParsePong(v event.Value) (p Pong, err error) {
	f, err := fields(v, "PONG", 5)
	if err != nil {
		return p, err
	}
	var ok bool
	if p.OK, ok = f[1].Bool(); !ok {
		return p, badHandshake("the result in PONG is not a boolean")
	}
	p.Reason, _ = f[2].Str()
	if !p.OK {
		return p, nil
	}
	if p.Hostname, ok = f[3].Str(); !ok {
		return p, badHandshake("the host name in PONG is not a string")
	}
	if p.KeyDigest, ok = f[4].Str(); !ok {
		return p, badHandshake("the digest in PONG is not a string")
	}
	return p, nil
}

// fields splits a message of the handshake, of which the first field is name,
// into its n fields.
func fields(v event.Value, name string, n int) (f [6]event.Value, err error) {
	if v.Kind() != event.KindArray {
		return f, badHandshake("a %s was expected and a value of kind %s came", name, v.Kind())
	}
	if v.Len() < n {
		return f, badHandshake("%s has %d fields instead of %d", name, v.Len(), n)
	}
	i := 0
	for item := range v.Items() {
		if i == n {
			break
		}
		f[i] = item
		i++
	}
	if i < n {
		return f, badHandshake("%s is incomplete", name)
	}
	if got, _ := f[0].Str(); string(got) != name {
		return f, badHandshake("a %s was expected", name)
	}
	return f, nil
}

func badHandshake(format string, args ...any) error {
	return &Malformed{"invalid_handshake", fmt.Sprintf(format, args...)}
}
