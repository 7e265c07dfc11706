package forward

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/netx/netxtest"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func TestContract(t *testing.T) {
	var mode atomic.Value
	open := func(ack bool) func(t *testing.T, b plugintest.Behaviour) plugintest.Destination {
		return func(t *testing.T, b plugintest.Behaviour) plugintest.Destination {
			s := newServer(t, "")
			mode.Store(b)
			var failed atomic.Bool
			s.answer = func(n int, id string) []byte {
				switch {
				case b == plugintest.Slow:
					return []byte{}
				case b == plugintest.Transient && !failed.Swap(true):
					return nil
				case id == "":
					return []byte{}
				}
				return ackOf(id)
			}
			s.start()
			props := []string{"port", s.port()}
			if ack {
				props = append(props, "require_ack_response", "on")
			}
			return plugintest.Destination{Props: props, Delivered: s.show}
		}
	}
	t.Run("with acknowledgements", func(t *testing.T) {
		plugintest.Output(t, plugintest.OutputSuite{Def: Def(), Open: open(true), Twice: true,
			Behaviours: []plugintest.Behaviour{plugintest.Transient, plugintest.Slow}})
	})
	t.Run("without", func(t *testing.T) {
		plugintest.Output(t, plugintest.OutputSuite{Def: Def(), Open: open(false)})
	})
}

// chunk is what most tests send.
func chunk(t testing.TB) *event.Chunk {
	return plugintest.ChunkOf(t, "app.web.one",
		plugintest.Event{Time: 1700000000_000000005, Record: `{"level":"info","n":1}`},
		plugintest.Event{Time: 1700000001_000000000, Record: `{"n":2,"level":"warn"}`, Meta: `{"m":"x"}`},
		plugintest.Event{Time: 1700000002_999999999, Record: `{"n":3}`})
}

// output makes an output to s.
func output(t testing.TB, s *server, keysAndValues ...string) plugin.Output {
	t.Helper()
	return plugintest.NewOutput(t, Def(), plugintest.Env(t), append([]string{"port", s.port()}, keysAndValues...)...)
}

func send(t testing.TB, out plugin.Output, c *event.Chunk) {
	t.Helper()
	if err := out.Send(t.Context(), c); err != nil {
		t.Fatalf("Send: %v", err)
	}
}

// wait waits for n messages.
func (s *server) wait(n int) {
	s.t.Helper()
	for deadline := time.Now().Add(plugintest.Patience); len(s.got()) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%d messages came, want %d", len(s.got()), n)
		}
	}
}

const (
	withMeta = "[[[1700000000.000000005 {}] {level:info n:1}] [[1700000001.000000000 {m:x}] {n:2 level:warn}] [[1700000002.999999999 {}] {n:3}]]"
	noMeta   = "[[1700000000.000000005 {level:info n:1}] [1700000001.000000000 {n:2 level:warn}] [1700000002.999999999 {n:3}]]"
	whole    = "[[1700000000 {level:info n:1}] [1700000001 {n:2 level:warn}] [1700000002 {n:3}]]"
)

func TestMessages(t *testing.T) {
	f := func(name, want string, keysAndValues ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			plugintest.NoLeaks(t)
			s := newServer(t, "").start()
			out := output(t, s, keysAndValues...)
			send(t, out, chunk(t))
			s.wait(strings.Count(want, "\n"))
			if got := s.show(); got != want {
				t.Errorf("sent\n%swant\n%s", got, want)
			}
		})
	}
	packed := "[packed " + withMeta[1:]
	f("defaults", "[app.web.one "+withMeta+"]\n")
	f("options", "[app.web.one "+withMeta+" {size:3 fluent_signal:0}]\n", "send_options", "on")
	f("acknowledgement", "[app.web.one "+withMeta+" {chunk:ID size:3 fluent_signal:0}]\n", "require_ack_response", "on")
	f("added options", "[app.web.one "+withMeta+" {size:3 fluent_signal:0 kind:web team:core}]\n",
		"add_option", "kind web", "add_option", "team core")
	f("gzip", "[app.web.one "+packed+" {size:3 compressed:gzip fluent_signal:0}]\n", "compress", "gzip")
	f("zstd", "[app.web.one "+packed+" {chunk:ID size:3 compressed:zstd fluent_signal:0}]\n", "compress", "zstd", "require_ack_response", "on")
	f("text", "[app.web.one "+withMeta+"]\n", "compress", "text")
	f("without metadata", "[app.web.one "+noMeta+"]\n", "retain_metadata_in_forward_mode", "off")
	f("gzip without metadata", "[app.web.one [packed "+noMeta[1:]+" {size:3 compressed:gzip fluent_signal:0}]\n",
		"retain_metadata_in_forward_mode", "off", "compress", "gzip")
	f("whole seconds", "[app.web.one "+whole+"]\n", "time_as_integer", "on")
	f("whole seconds with options", "[app.web.one "+whole+" {chunk:ID size:3 fluent_signal:0}]\n", "time_as_integer", "on", "require_ack_response", "on")
	f("another tag", "[new.tag "+withMeta+"]\n", "tag", "new.tag")
	f("a tag made of the tag", "[x.app.web.one.web "+withMeta+"]\n", "tag", "x.$TAG.$TAG[1]")
	messages := "[by.info 1700000000.000000005 {level:info n:1} {fluent_signal:0}]\n" +
		"[by.warn 1700000001.000000000 {n:2 level:warn} {fluent_signal:0 metadata:{m:x}}]\n" +
		"[by. 1700000002.999999999 {n:3} {fluent_signal:0}]\n"
	f("a tag made of the record", messages, "tag", "by.$level")
	f("a tag made of the record, acknowledged", strings.ReplaceAll(messages, "{fluent_signal", "{chunk:ID fluent_signal"),
		"tag", "by.$level", "require_ack_response", "on")
	f("a tag made of the record, whole seconds",
		"[by.info 1700000000 {level:info n:1} {fluent_signal:0 k:v}]\n"+
			"[by.warn 1700000001 {n:2 level:warn} {fluent_signal:0 k:v metadata:{m:x}}]\n"+
			"[by. 1700000002 {n:3} {fluent_signal:0 k:v}]\n",
		"tag", "by.$level", "time_as_integer", "on", "add_option", "k v")
}

func TestEntriesAreTheBytesOfTheChunk(t *testing.T) {
	s := newServer(t, "").start()
	c := chunk(t)
	send(t, output(t, s), c)
	s.wait(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !bytes.HasSuffix(s.raw, c.Bytes()) {
		t.Errorf("%x does not end in %x", s.raw, c.Bytes())
	}
}

func TestChunkIDIsTheSameForEveryAttempt(t *testing.T) {
	s := newServer(t, "")
	s.answer = func(n int, id string) []byte {
		switch n {
		case 0:
			return ackOf("wrong")
		case 1:
			return nil
		case 2:
			return []byte{0x81, 0xa1, 'x', 0xc0}
		}
		return ackOf(id)
	}
	s.start()
	out := output(t, s, "require_ack_response", "on")
	c := chunk(t)
	for i, want := range []string{`acknowledged "wrong"`, "EOF", "kind map"} {
		err := out.Send(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("attempt %d: error %v, want %q", i, err, want)
		}
		var permanent *plugin.PermanentError
		if errors.As(err, &permanent) {
			t.Errorf("attempt %d: the error is permanent", i)
		}
	}
	send(t, out, c)
	for i, m := range s.got() {
		if id := m[2].(dict).get("chunk"); id != base64.StdEncoding.EncodeToString(c.ID[:]) {
			t.Errorf("attempt %d has the id %v", i, id)
		}
	}
}

func TestMissingAckEndsInTime(t *testing.T) {
	s := newServer(t, "")
	s.answer = func(int, string) []byte { return []byte{} }
	s.start()
	out := output(t, s, "require_ack_response", "on", "ack_response_timeout", "50ms")
	err := out.Send(t.Context(), chunk(t))
	if err == nil || !strings.Contains(err.Error(), "ack_response_timeout") {
		t.Errorf("error %v", err)
	}
}

func TestConnectionIsKept(t *testing.T) {
	s := newServer(t, "")
	s.key = "k"
	s.start()
	out := output(t, s, "shared_key", "k", "require_ack_response", "on")
	for range 3 {
		send(t, out, chunk(t))
	}
	if n := len(s.logins); n != 1 {
		t.Errorf("%d handshakes", n)
	}
}

func TestConnectionIsNotKeptIfTheServerDoesNotWantIt(t *testing.T) {
	s := newServer(t, "")
	s.key, s.once = "k", true
	s.start()
	out := output(t, s, "shared_key", "k", "require_ack_response", "on")
	for range 3 {
		send(t, out, chunk(t))
	}
	if n := len(s.logins); n != 3 {
		t.Errorf("%d handshakes", n)
	}
}

func TestADeadKeptConnectionCostsNoError(t *testing.T) {
	s := newServer(t, "").start()
	for _, ack := range []string{"off", "on"} {
		out := output(t, s, "require_ack_response", ack)
		send(t, out, chunk(t))
		s.wait(1)
		s.mu.Lock()
		for _, c := range s.conns {
			c.Close()
		}
		s.mu.Unlock()
		n := len(s.got())
		send(t, out, chunk(t))
		s.wait(n + 1)
	}
}

func TestHandshake(t *testing.T) {
	f := func(name, wantErr, wantLogin string, prepare func(*server), keysAndValues ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			s := newServer(t, "")
			prepare(s)
			s.start()
			err := output(t, s, keysAndValues...).Send(t.Context(), chunk(t))
			switch {
			case wantErr == "" && err != nil:
				t.Fatalf("Send: %v", err)
			case wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)):
				t.Errorf("error %v, want %q", err, wantErr)
			case wantErr == "":
				s.wait(1)
				if got := s.logins[0]; got != wantLogin {
					t.Errorf("login %q, want %q", got, wantLogin)
				}
			}
			var permanent *plugin.PermanentError
			if errors.As(err, &permanent) {
				t.Error("the error is permanent, but the server's configuration may be mended")
			}
		})
	}
	key := func(s *server) { s.key = "s3cret" }
	users := func(s *server) { s.key, s.users = "s3cret", map[string]string{"web": "pass"} }
	f("key", "", "localhost ", key, "shared_key", "s3cret")
	f("host name", "", "client-1 ", key, "shared_key", "s3cret", "self_hostname", "client-1")
	f("wrong key", "shared_key mismatch", "", key, "shared_key", "wrong")
	f("server that lies", "does not know the shared_key", "", func(s *server) { s.key, s.lie = "s3cret", true }, "shared_key", "s3cret")
	f("user", "", "localhost web", users, "shared_key", "s3cret", "username", "web", "password", "pass")
	f("wrong password", "username/password mismatch", "", users, "shared_key", "s3cret", "username", "web", "password", "x")
	f("empty key", "", "localhost web", func(s *server) { s.users = map[string]string{"web": "pass"} },
		"empty_shared_key", "on", "username", "web", "password", "pass")
	f("no key but the server wants one", "neither shared_key", "", func(s *server) {
		s.accepted = func(c net.Conn, _ int) bool {
			c.Write(packString(packString(append(packString([]byte{0x92}, "HELO"), 0x81), "nonce"), "n"))
			return true
		}
	})
	f("no key but the server wants one, with acknowledgements", "neither shared_key", "", func(s *server) {
		s.answer = func(int, string) []byte {
			return packString(packString(append(packString([]byte{0x92}, "HELO"), 0x81), "nonce"), "n")
		}
	}, "require_ack_response", "on")
	f("server without handshake", "read HELO", "", func(s *server) {
		s.accepted = func(c net.Conn, _ int) bool { return false }
	}, "shared_key", "k")
	f("server of another protocol", "HELO was expected", "", func(s *server) {
		s.accepted = func(c net.Conn, _ int) bool {
			c.Write([]byte("220 mail.example ESMTP\r\n"))
			return true
		}
	}, "shared_key", "k")
}

func TestAServerThatClosesAtOnceIsNoticed(t *testing.T) {
	s := newServer(t, "")
	s.accepted = func(net.Conn, int) bool { return false }
	s.start()
	if err := output(t, s).Send(t.Context(), chunk(t)); err == nil {
		t.Error("a chunk that nobody read counts as delivered")
	}
}

func TestTLSAndUnixSocket(t *testing.T) {
	ca := netxtest.NewCA(t)
	s := newServer(t, "").tls(ca.Server())
	s.key = "k"
	s.start()
	out := output(t, s, "tls", "on", "tls.ca_file", ca.File, "tls.verify_hostname", "on", "shared_key", "k", "require_ack_response", "on", "compress", "gzip")
	send(t, out, chunk(t))
	send(t, out, chunk(t))
	if n := len(s.got()); n != 2 {
		t.Errorf("%d messages over TLS", n)
	}
	out = output(t, s, "tls", "on")
	if err := out.Send(t.Context(), chunk(t)); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("unknown CA: error %v", err)
	}

	path := filepath.Join(t.TempDir(), "f.sock")
	u := newServer(t, path)
	u.key = "k"
	u.start()
	out = plugintest.NewOutput(t, Def(), plugintest.Env(t), "unix_path", path, "shared_key", "k", "require_ack_response", "on")
	send(t, out, chunk(t))
	if n := len(u.got()); n != 1 {
		t.Errorf("%d messages over the unix socket", n)
	}
}

func TestOnlyRecordsWithoutAckAreSentAgain(t *testing.T) {
	s := newServer(t, "")
	const n = 200
	s.answer = func(i int, id string) []byte {
		if i == 100 {
			return nil
		}
		return ackOf(id)
	}
	s.start()
	out := output(t, s, "tag", "by.$n", "require_ack_response", "on")
	var records []string
	for i := range n {
		records = append(records, fmt.Sprintf(`{"n":%d}`, i))
	}
	c := plugintest.Chunk(t, "t", records...)
	err := out.Send(t.Context(), c)
	var part *plugin.PartialError
	if !errors.As(err, &part) {
		t.Fatalf("error %v", err)
	}
	// Acknowledgements of the window that broke off may be lost on the way.
	if first := part.Retry[0]; len(part.Rejected) != 0 || first < window || first > 100 || len(part.Retry) != n-first {
		t.Errorf("to send again: %v", part.Retry)
	}
	send(t, out, c.Select(part.Retry))
	seen := map[string]bool{}
	for _, m := range s.got() {
		seen[m[0].(string)] = true
	}
	if len(seen) != n {
		t.Errorf("%d of %d records arrived", len(seen), n)
	}
}

func TestAcksOfRecordsMayComeInAnyOrder(t *testing.T) {
	s := newServer(t, "")
	var ids []string
	s.answer = func(i int, id string) []byte {
		if ids = append(ids, id); len(ids) < 3 {
			return []byte{}
		}
		slices.Reverse(ids)
		var b []byte
		for _, id := range ids {
			b = append(b, ackOf(id)...)
		}
		return b
	}
	s.start()
	send(t, output(t, s, "tag", "by.$n", "require_ack_response", "on"), chunk(t))
}

func TestAckOfARecordTwiceIsAnError(t *testing.T) {
	s := newServer(t, "")
	s.answer = func(i int, id string) []byte { return append(ackOf(id), ackOf(id)...) }
	s.start()
	err := output(t, s, "tag", "by.$n", "require_ack_response", "on").Send(t.Context(), chunk(t))
	if err == nil || !strings.Contains(err.Error(), "not what was sent") {
		t.Errorf("error %v", err)
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		_, err := plugintest.TryOutput(Def(), plugintest.Env(t), keysAndValues...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", keysAndValues, err, want)
		}
	}
	f("without shared_key", "username", "u")
	f("without shared_key", "password", "p")
	f("is not one of", "compress", "lz4")
	f("time_as_integer", "compress", "gzip", "time_as_integer", "on")
	f("depends on the record", "compress", "gzip", "tag", "$level")
	f("at least 2", "add_option", "onlykey")
	f("port 0", "port", "0")
	f("crt_file", "tls.key_file", "x")
	f("no file", "upstream", "x.conf")
}

func TestContextEndsWhatWaits(t *testing.T) {
	s := newServer(t, "")
	s.answer = func(int, string) []byte { return []byte{} }
	s.start()
	out := output(t, s, "require_ack_response", "on")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := out.Send(ctx, chunk(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestNoAllocationPerRecord(t *testing.T) {
	var records []string
	for i := range 1000 {
		records = append(records, fmt.Sprintf(`{"n":%d,"level":"info","log":"some text"}`, i))
	}
	c := plugintest.Chunk(t, "t", records...)
	for name, p := range map[string]*peer{
		"forward":    {compress: "text", retainMeta: true, sendOptions: true},
		"seconds":    {compress: "text", timeAsInteger: true},
		"per record": {compress: "text", tag: "by.$level"},
		"gzip":       {compress: "gzip", retainMeta: true},
	} {
		if err := p.complete(); err != nil {
			t.Fatal(err)
		}
		n := testing.AllocsPerRun(20, func() {
			m, err := p.encode(c)
			if err != nil {
				t.Fatal(err)
			}
			m.free()
		})
		if n > 50 {
			t.Errorf("%s: %v allocations for 1000 records", name, n)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	var records []string
	for i := range 5000 {
		records = append(records, fmt.Sprintf(`{"container_id":"3f4e1c0b5a6d","n":%d,"level":"info","log":"GET /api/v1/items?id=12345&sort=asc HTTP/1.1 200 612"}`, i))
	}
	c := plugintest.Chunk(b, "t", records...)
	for _, p := range []*peer{
		{compress: "text", retainMeta: true}, {compress: "text"}, {compress: "text", tag: "by.$level"}, {compress: "gzip", retainMeta: true}, {compress: "zstd", retainMeta: true},
	} {
		name := p.compress + p.tag
		if p.retainMeta {
			name += "+meta"
		}
		if err := p.complete(); err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(c.Size()))
			b.ReportAllocs()
			for b.Loop() {
				m, err := p.encode(c)
				if err != nil {
					b.Fatal(err)
				}
				m.free()
			}
		})
	}
}
