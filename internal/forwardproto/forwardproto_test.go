package forwardproto

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/kagarilog/kagari/event"
)

func TestTime(t *testing.T) {
	f := func(name string, v []byte, want int64, wantErr error) {
		t.Helper()
		got, err := Time(event.Value(v))
		if !errors.Is(err, wantErr) || got != want {
			t.Errorf("%s: %d, %v; want %d, %v", name, got, err, want, wantErr)
		}
	}
	const at = 1700000000
	f("EventTime", AppendEventTime(nil, at*1e9+123456789), at*1e9+123456789, nil)
	f("last EventTime", AppendEventTime(nil, math.MaxUint32*1e9+1), math.MaxUint32*1e9+1, nil)
	f("integer", event.AppendInt(nil, at), at*1e9, nil)
	f("zero", event.AppendInt(nil, 0), 0, nil)
	f("largest integer", event.AppendInt(nil, math.MaxUint32), math.MaxUint32*1e9, nil)
	f("float", event.AppendFloat(nil, at+0.5), at*1e9+5e8, nil)
	f("milliseconds", event.AppendInt(nil, at*1000), 0, errTime)
	f("uint64", event.AppendUint(nil, math.MaxUint64), 0, errTime)
	f("negative integer", event.AppendInt(nil, -1), 0, errTime)
	f("negative float", event.AppendFloat(nil, -0.5), 0, errTime)
	f("large float", event.AppendFloat(nil, 1e300), 0, errTime)
	f("infinite", event.AppendFloat(nil, math.Inf(1)), 0, errTime)
	f("NaN", event.AppendFloat(nil, math.NaN()), 0, errTime)
	f("text", event.AppendString(nil, "1700000000"), 0, errTime)
	f("other extension", event.AppendExt(nil, 1, make([]byte, 8)), 0, errTime)
	f("short extension", event.AppendExt(nil, 0, make([]byte, 4)), 0, errTime)
	f("too many nanoseconds", event.AppendExt(nil, 0, []byte{0, 0, 0, 1, 0x3b, 0x9a, 0xca, 0}), 0, errTime)
	f("start of a group", event.AppendExt(nil, 0, []byte{255, 255, 255, 255, 0, 0, 0, 0}), 0, ErrGroup)
	f("end of a group", event.AppendExt(nil, 0, []byte{255, 255, 255, 254, 0, 0, 0, 0}), 0, ErrGroup)
	f("nothing", nil, 0, errTime)

	if got := AppendSeconds(nil, at*1e9+999999999); !bytes.Equal(got, event.AppendInt(nil, at)) {
		t.Errorf("seconds: %x", got)
	}
	for _, c := range []struct{ ns, want int64 }{{-1, 0}, {math.MaxInt64, math.MaxUint32*1e9 + 999999999}} {
		if got, err := Time(AppendEventTime(nil, c.ns)); got != c.want || err != nil {
			t.Errorf("%d was clamped to %d, want %d (%v)", c.ns, got, c.want, err)
		}
	}
}

func value(t *testing.T, json string) event.Value {
	t.Helper()
	v, _, err := event.AppendJSON(nil, []byte(json))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestParseOptions(t *testing.T) {
	o, err := ParseOptions(value(t, `{"size":3,"chunk":"first","chunk":"second","x":{"chunk":1},"compressed":"gzip","fluent_signal":1,"metadata":{"m":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := o.Chunk.Str(); string(s) != "first" || string(o.Compressed) != "gzip" || o.Signal != SignalMetrics || o.Metadata.Len() != 1 {
		t.Errorf("%+v", o)
	}
	for _, empty := range []string{`null`, `{}`, `{"size":"odd"}`} {
		if o, err := ParseOptions(value(t, empty)); err != nil || o.Chunk != nil || o.Signal != SignalLogs {
			t.Errorf("%s: %+v, %v", empty, o, err)
		}
	}
	for bad, want := range map[string]error{
		`[]`: errOptions, `"x"`: errOptions, `1`: errOptions, `{"chunk":1}`: errChunk, `{"chunk":null}`: errChunk,
		`{"fluent_signal":3}`: errSignal, `{"fluent_signal":-1}`: errSignal, `{"fluent_signal":"0"}`: errSignal,
		`{"metadata":[]}`: errMetadata,
	} {
		if _, err := ParseOptions(value(t, bad)); err != want {
			t.Errorf("%s: %v, want %v", bad, err, want)
		}
	}
}

func TestAck(t *testing.T) {
	ack := AppendAck(nil, event.AppendString(nil, "id"))
	if want := value(t, `{"ack":"id"}`); !bytes.Equal(ack, want) {
		t.Errorf("%x, want %x", ack, want)
	}
	if id, ok := ParseAck(ack); !ok || string(id) != "id" {
		t.Errorf("%q, %t", id, ok)
	}
	for _, bad := range []string{`{}`, `[]`, `null`, `{"ack":1}`, `"ack"`} {
		if id, ok := ParseAck(value(t, bad)); ok {
			t.Errorf("%s: %q", bad, id)
		}
	}
}

func TestHandshakeMessagesSurviveTheWire(t *testing.T) {
	helo, err := ParseHelo(Helo{Nonce: []byte("nonce"), Auth: []byte("auth"), Keepalive: true}.Append(nil))
	if err != nil || string(helo.Nonce) != "nonce" || string(helo.Auth) != "auth" || !helo.Keepalive {
		t.Errorf("HELO: %+v, %v", helo, err)
	}
	ping, err := ParsePing(Ping{[]byte("host"), []byte("salt"), []byte("digest"), []byte("user"), []byte("pass")}.Append(nil))
	if err != nil || string(ping.Hostname) != "host" || string(ping.Salt) != "salt" || string(ping.KeyDigest) != "digest" ||
		string(ping.User) != "user" || string(ping.PasswordDigest) != "pass" {
		t.Errorf("PING: %+v, %v", ping, err)
	}
	pong, err := ParsePong(Pong{true, nil, []byte("host"), []byte("digest")}.Append(nil))
	if err != nil || !pong.OK || string(pong.Hostname) != "host" || string(pong.KeyDigest) != "digest" {
		t.Errorf("PONG: %+v, %v", pong, err)
	}
	pong, err = ParsePong(Pong{Reason: []byte("why")}.Append(nil))
	if err != nil || pong.OK || string(pong.Reason) != "why" {
		t.Errorf("bad PONG: %+v, %v", pong, err)
	}
	// Fluentd sends a nonce as binary and may leave keepalive out.
	b := append(event.AppendString([]byte{0x92}, "HELO"), 0x82)
	b = event.AppendBinary(event.AppendString(b, "nonce"), []byte{0xff, 1})
	b = event.AppendBool(event.AppendString(b, "keepalive"), false)
	if helo, err = ParseHelo(b); err != nil || string(helo.Nonce) != "\xff\x01" || len(helo.Auth) != 0 || helo.Keepalive {
		t.Errorf("HELO of Fluentd: %+v, %v", helo, err)
	}
}

func TestBadHandshakeMessagesAreRefused(t *testing.T) {
	parse := map[string]func(event.Value) error{
		"HELO": func(v event.Value) error { _, err := ParseHelo(v); return err },
		"PING": func(v event.Value) error { _, err := ParsePing(v); return err },
		"PONG": func(v event.Value) error { _, err := ParsePong(v); return err },
	}
	for _, c := range [][2]string{
		{"HELO", `null`}, {"HELO", `{}`}, {"HELO", `[]`}, {"HELO", `["HELO"]`}, {"HELO", `["PONG",{"nonce":"n"}]`},
		{"HELO", `["HELO",1]`}, {"HELO", `["HELO",{}]`}, {"HELO", `["HELO",{"nonce":1}]`}, {"HELO", `[1,{"nonce":"n"}]`},
		{"PING", `["PING","h","s","d","u"]`}, {"PING", `["PING","h","s","d","u",1]`}, {"PING", `["PONG","h","s","d","u","p"]`},
		{"PONG", `["PONG",true,"",""]`}, {"PONG", `["PONG",1,"","h","d"]`}, {"PONG", `["PONG",true,"",1,"d"]`}, {"PONG", `["PONG",true,"","h",1]`},
	} {
		err := parse[c[0]](value(t, c[1]))
		var m *Malformed
		if !errors.As(err, &m) || m.Reason != "invalid_handshake" || m.Text == "" {
			t.Errorf("%s %s: %v", c[0], c[1], err)
		}
	}
	if !IsHelo(value(t, `["HELO",{}]`)) || IsHelo(value(t, `{"ack":"x"}`)) {
		t.Error("IsHelo is wrong")
	}
}

func TestDigests(t *testing.T) {
	sum := func(s string) string {
		h := sha512.Sum512([]byte(s))
		return hex.EncodeToString(h[:])
	}
	if got := KeyDigest([]byte("salt"), []byte("host"), []byte("nonce"), "key"); got != sum("salthostnoncekey") {
		t.Errorf("key digest %s", got)
	}
	if got := PasswordDigest([]byte("auth"), "user", "password"); got != sum("authuserpassword") {
		t.Errorf("password digest %s", got)
	}
	if d := sum("x"); !SameDigest([]byte(d), d) || SameDigest([]byte(d[:127]), d) || SameDigest(nil, d) {
		t.Error("SameDigest is wrong")
	}
	if a, b := NewNonce(), NewNonce(); len(a) != 16 || a == b {
		t.Errorf("nonces %q and %q", a, b)
	}
}

// scanAll scans b as it grows by step bytes.
func scanAll(b []byte, step int) (n int, err error) {
	var s Scanner
	need := 0
	for have := 0; ; have = min(have+step, len(b)) {
		if n, err = s.Scan(b[:have]); err == nil && need > n {
			return 0, errors.New("Need was more than the value has")
		}
		if err != io.ErrUnexpectedEOF {
			return n, err
		}
		need = max(need, s.Need())
		if have == len(b) {
			return 0, io.ErrUnexpectedEOF
		}
	}
}

func TestScannerNeed(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		need int
	}{
		{nil, 1},
		{[]byte{0xdb, 0xff, 0xff, 0xff, 0xff}, 5 + math.MaxUint32},
		{[]byte{0xdd, 0, 0, 1, 0}, 5 + 256},
		{[]byte{0xdf, 0, 0, 1, 0}, 5 + 512},
		{[]byte{0x92, 0xc0}, 3},
		{[]byte{0x92, 0x93, 0x01}, 6},
	} {
		var s Scanner
		if _, err := s.Scan(c.b); err != io.ErrUnexpectedEOF || s.Need() != c.need {
			t.Errorf("%x: needs %d, %v; want %d", c.b, s.Need(), err, c.need)
		}
	}
}

func TestScannerStopsAtTheDepthOfNext(t *testing.T) {
	for depth := event.MaxDepth - 2; depth < event.MaxDepth+3; depth++ {
		for _, inner := range [][]byte{{0xc0}, {0x90}, {0xdc, 0, 0}} {
			b := append(bytes.Repeat([]byte{0x91}, depth), inner...)
			_, _, want := event.Next(b)
			if _, err := scanAll(b, len(b)); err != want {
				t.Errorf("depth %d, inner %x: %v, event.Next says %v", depth, inner, err, want)
			}
		}
	}
}

func FuzzScanner(f *testing.F) {
	f.Add([]byte{0x92, 0xd7, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x81, 0xa1, 'a', 0xdc, 0, 2, 0xc0, 0xcb, 1, 2, 3, 4, 5, 6, 7, 8}, 1)
	f.Add([]byte{0xdf, 0, 0, 0, 1, 0xc4, 1, 0, 0xc7, 2, 5, 6, 7}, 2)
	f.Add([]byte{0x91, 0xc1}, 3)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		if step < 1 || step > len(b) {
			step = 1
		}
		v, _, want := event.Next(b)
		n, err := scanAll(b, step)
		if n != len(v) || err != want {
			t.Fatalf("%x by %d: %d bytes, %v; event.Next says %d, %v", b, step, n, err, len(v), want)
		}
	})
}

func FuzzHandshake(f *testing.F) {
	f.Add(Helo{Nonce: []byte("n")}.Append(nil))
	f.Add(Ping{}.Append(nil))
	f.Add(Pong{}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = ParseHelo(b)
		_, _ = ParsePing(b)
		_, _ = ParsePong(b)
		_, _ = ParseOptions(b)
		_, _ = ParseAck(b)
		_, _ = Time(b)
	})
}
