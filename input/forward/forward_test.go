package forward

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/netx/netxtest"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) {
	plugintest.Definition(t, Def(), "shared_key", "k", "security.users", "u p")
}

func TestContract(t *testing.T) {
	plugintest.Input(t, plugintest.InputSuite{Def: Def(), Open: func(t *testing.T) plugintest.Source {
		path := filepath.Join(t.TempDir(), "f.sock")
		return plugintest.Source{
			Props: []string{"unix_path", path},
			Feed: func(t *testing.T) {
				c, err := net.Dial("unix", path)
				for end := time.Now().Add(plugintest.Patience); err != nil; c, err = net.Dial("unix", path) {
					if time.Now().After(end) { // the second run listens for itself
						t.Fatal(err)
					}
					time.Sleep(time.Millisecond)
				}
				newClient(t, c).send(list{"t", sec, dict{"a", 1}})
			},
		}
	}})
}

// server is a running input.
type server struct {
	t    testing.TB
	env  *plugin.Env
	log  *plugintest.Log
	em   plugintest.Emitter
	run  *plugintest.Running
	addr net.Addr
}

// serve runs an input on a free port.
func serve(t testing.TB, keysAndValues ...string) *server {
	return serveTag(t, "", keysAndValues...)
}

func serveTag(t testing.TB, tag string, keysAndValues ...string) *server {
	t.Helper()
	plugintest.NoLeaks(t)
	s := &server{t: t}
	s.env, s.log = plugintest.LoggedEnv(t)
	s.env.Tag = tag
	in := plugintest.NewInput(t, Def(), s.env, append([]string{"listen", "127.0.0.1", "port", "0"}, keysAndValues...)...).(*Input)
	if err := in.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.addr = in.Addr()
	s.run = plugintest.Run(t, runOnly{in}, &s.em)
	return s
}

// runOnly hides Start, which has run already.
type runOnly struct{ in *Input }

func (r runOnly) Run(ctx context.Context, out plugin.Emitter) error { return r.in.Run(ctx, out) }

func (s *server) dial() *client {
	s.t.Helper()
	c, err := net.Dial(s.addr.Network(), s.addr.String())
	if err != nil {
		s.t.Fatal(err)
	}
	return newClient(s.t, c)
}

// wantRejected waits for the counter of reason.
func (s *server) wantRejected(reason string) {
	s.t.Helper()
	for deadline := time.Now().Add(plugintest.Patience); plugintest.Rejected(s.env, reason) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("nothing was counted as %s: %v", reason, plugintest.Counters(s.env))
		}
	}
}

func (s *server) want(n int, want string) {
	s.t.Helper()
	if got := lines(s.em.Wait(s.t, n)); got != want {
		s.t.Errorf("events:\n%swant:\n%s", got, want)
	}
}

func TestEventsOverTCP(t *testing.T) {
	s := serve(t)
	c := s.dial()
	c.send(list{"t", sec, dict{"n", 0}}, list{"t", bin(pack(entry1(1))), dict{"chunk", "p"}})
	if id := c.ack(); id != "p" {
		t.Errorf("acknowledged %q", id)
	}
	c.send(list{"t", list{entry1(2)}, dict{"chunk", "f"}})
	if id := c.ack(); id != "f" {
		t.Errorf("acknowledged %q", id)
	}
	s.want(3, threeEvents)
}

func TestEventsOverTLS(t *testing.T) {
	ca := netxtest.NewCA(t)
	cert, key := ca.Issue("server", "127.0.0.1")
	s := serve(t, "tls", "on", "tls.verify", "off", "tls.crt_file", cert, "tls.key_file", key)
	raw, err := tls.Dial("tcp", s.addr.String(), &tls.Config{RootCAs: ca.Pool, ServerName: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, raw)
	blob := entries(1000, 500)
	c.send(list{"t", bin(blob), dict{"chunk", "p"}})
	if id := c.ack(); id != "p" {
		t.Errorf("acknowledged %q", id)
	}
	if n := len(s.em.Events()); n != 1000 {
		t.Errorf("%d events", n)
	}
}

func TestEventsOverAUnixSocketWithPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.sock")
	s := serve(t, "unix_path", path, "unix_perm", "0620")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o620 {
		t.Fatalf("the socket has %v (%v)", info.Mode(), err)
	}
	c := s.dial()
	c.send(list{"t", sec, dict{"a", 1}, dict{"chunk", "u"}})
	if id := c.ack(); id != "u" {
		t.Errorf("acknowledged %q", id)
	}
	if err := s.run.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestTagOptions(t *testing.T) {
	s := serveTag(t, "mine")
	s.dial().send(list{"t", sec, dict{}})
	s.want(1, "mine @1700000000.000000000 {}\n")
	s = serveTag(t, "mine", "tag_prefix", "p.")
	s.dial().send(list{"t", sec, dict{}})
	s.want(1, "p.t @1700000000.000000000 {}\n")
	s = serve(t)
	s.dial().send(list{"", sec, dict{}})
	s.want(1, "test.0 @1700000000.000000000 {}\n")
}

func TestAckWaitsForDeliveryAndDoesNotHoldUpTheReader(t *testing.T) {
	s := serve(t)
	release := s.em.HoldAcks()
	c := s.dial()
	for i := range 10 {
		c.send(list{"t", list{entry1(i)}, dict{"chunk", fmt.Sprint(i)}})
		s.em.Wait(t, i+1)
	}
	c.wantSilence()
	release()
	for i := range 10 {
		if id := c.ack(); id != fmt.Sprint(i) {
			t.Errorf("acknowledged %q, want %d", id, i)
		}
	}
}

func TestAcksAreSentAfterThePeerHasFinished(t *testing.T) {
	s := serve(t)
	release := s.em.HoldAcks()
	c := s.dial()
	c.send(list{"t", list{entry1(0)}, dict{"chunk", "last"}})
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	s.em.Wait(t, 1)
	release()
	if id := c.ack(); id != "last" {
		t.Errorf("acknowledged %q", id)
	}
	c.wantClosed()
}

func TestBadMessageClosesOnlyItsConnection(t *testing.T) {
	s := serve(t)
	good, bad := s.dial(), s.dial()
	good.send(list{"t", sec, dict{"n", 0}})
	s.em.Wait(t, 1)
	bad.send(list{"t", sec + 1, dict{"n", 1}}, "what is this")
	bad.wantClosed()
	good.send(list{"t", sec + 2, dict{"n", 2}})
	s.want(3, threeEvents)
	s.wantRejected("invalid_message")
	log := s.log.String()
	if !strings.Contains(log, bad.LocalAddr().String()) || !strings.Contains(log, "reason=invalid_message") {
		t.Errorf("the log names neither peer nor reason: %s", log)
	}
}

func TestConnectionThatEndsInsideAMessageIsCounted(t *testing.T) {
	s := serve(t)
	c := s.dial()
	whole := pack(list{"t", bin(packEntries(3)), dict{"chunk", "x"}})
	c.Write(whole[:len(whole)-8])
	s.em.Wait(t, 3)
	c.Close()
	s.wantRejected("incomplete_message")

	s = serve(t)
	c = s.dial()
	c.Write(whole[:len(whole)-8])
	s.em.Wait(t, 3)
	if err := s.run.Stop(); err != nil {
		t.Fatal(err)
	}
	s.wantRejected("incomplete_message") // at the end of the input, too
}

func TestHandshake(t *testing.T) {
	s := serve(t, "shared_key", "s3cret", "self_hostname", "server.example")
	c := s.dial()
	if pong := c.login("s3cret", "", ""); pong[1] != true || pong[3] != "server.example" {
		t.Fatalf("PONG %v", pong)
	}
	c.send(list{"t", sec, dict{"n", 0}, dict{"chunk", "x"}})
	if id := c.ack(); id != "x" {
		t.Errorf("acknowledged %q", id)
	}

	c = s.dial()
	if pong := c.login("wrong", "", ""); pong[1] != false || pong[2] != "shared_key mismatch" || pong[4] != "" {
		t.Errorf("PONG %v", pong)
	}
	c.wantClosed()
	s.wantRejected("wrong_shared_key")

	c = s.dial()
	c.receive()
	c.send(list{"t", sec, dict{"n", 1}})
	c.wantClosed()
	s.wantRejected("invalid_handshake")

	c = s.dial()
	c.receive()
	c.send(list{"PING", strings.Repeat("h", 10<<10), "", "", "", ""})
	c.wantClosed()
	s.wantRejected("too_large")
	if n := len(s.em.Events()); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestHandshakeWithUsers(t *testing.T) {
	s := serve(t, "shared_key", "k", "security.users", "web first pass", "security.users", "db second")
	f := func(user, password string, ok bool) {
		t.Helper()
		c := s.dial()
		pong := c.login("k", user, password)
		if pong[1] != ok {
			t.Errorf("%s/%s: PONG %v", user, password, pong)
		}
		if !ok {
			if pong[2] != "username/password mismatch" {
				t.Errorf("%s/%s: reason %v", user, password, pong[2])
			}
			c.wantClosed()
		}
	}
	f("web", "first pass", true)
	f("db", "second", true)
	f("db", "first pass", false)
	f("web", "", false)
	f("", "", false)
	f("nobody", "second", false)
	s.wantRejected("wrong_password")
}

func TestHandshakeWithAnEmptyKey(t *testing.T) {
	s := serve(t, "empty_shared_key", "on", "shared_key", "ignored", "security.users", "u p")
	if pong := s.dial().login("", "u", "p"); pong[1] != true {
		t.Errorf("PONG %v", pong)
	}
	if pong := s.dial().login("", "u", "x"); pong[1] != false {
		t.Errorf("PONG %v", pong)
	}
}

func TestDataMayFollowThePingAtOnce(t *testing.T) {
	s := serve(t, "empty_shared_key", "on")
	c := s.dial()
	helo := c.receive().(list)
	nonce := helo[1].(dict).get("nonce").(string)
	c.send(list{"PING", "h", "s", sha("s", "h", nonce), "", ""}, list{"t", sec, dict{"a", 1}})
	s.want(1, "t @1700000000.000000000 {\"a\":1}\n")
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		_, err := plugintest.TryInput(Def(), plugintest.Env(t), keysAndValues...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", keysAndValues, err, want)
		}
	}
	f("security.users is given without shared_key", "security.users", "u p")
	f("1 words where at least 2", "security.users", "u")
	f("tls.crt_file", "tls", "on")
	f("port 70000", "port", "70000")
}

func TestUnixPermIsReadAsFluentBitDoes(t *testing.T) {
	for text, want := range map[string]os.FileMode{"0660": 0o660, "777": 0o777, "0600x": 0o600, "abc": 0} {
		cfg, ps := plugintest.Decode(Def(), "unix_perm", text)
		if got := cfg.(*Config).mode; got != want || ps.HasErrors() {
			t.Errorf("%q: %o, %v", text, got, ps)
		}
	}
}

func TestPortInUseRefusesTheStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	in := plugintest.NewInput(t, Def(), plugintest.Env(t), "listen", "127.0.0.1", "port", port)
	if err := in.(plugin.Starter).Start(t.Context()); err == nil || !strings.Contains(err.Error(), port) {
		t.Errorf("error %v", err)
	}
}

func TestBackPressureStopsTheReading(t *testing.T) {
	s := serve(t)
	unblock := s.em.Block()
	c := s.dial()
	c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	blob := pack(list{"t", bin(entries(1000, 1000))})
	sent := 0
	var err error
	for err == nil && sent < 1000 { // 1 GB would be too much for any socket buffer
		_, err = c.Write(blob)
		sent++
	}
	if err == nil {
		t.Fatal("everything was read although nothing was taken")
	}
	if n := len(s.em.Events()); n != 0 {
		t.Errorf("%d events", n)
	}
	unblock()
	s.em.Wait(t, 1000)
}

// Who asks for no acknowledgement believes that its records were taken.
func TestRecordsThatAreNotTakenAtTheEndAreCounted(t *testing.T) {
	s := serve(t)
	s.em.Block()
	c := s.dial()
	c.send(list{"a", sec, dict{"n", 0}}, list{"b", sec, dict{"n", 1}}, list{"b", sec, dict{"n", 2}}, list{"c", sec, dict{"n", 3}, dict{"chunk", "x"}})
	time.Sleep(50 * time.Millisecond)
	if err := s.run.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := plugintest.Rejected(s.env, "not_taken"); n != 3 || !strings.Contains(s.log.String(), "records are lost") {
		t.Errorf("counted %v, want 3; the log is %q", plugintest.Counters(s.env), s.log)
	}
}

func TestManyConnectionsAtOnce(t *testing.T) {
	s := serve(t)
	var wg sync.WaitGroup
	for i := range 50 {
		c := s.dial()
		wg.Go(func() {
			for j := range 20 {
				c.send(list{fmt.Sprint("t", i), bin(packEntries(10)), dict{"chunk", fmt.Sprint(j)}})
			}
			for range 20 {
				c.ack()
			}
		})
	}
	wg.Wait()
	if n := len(s.em.Events()); n != 50*20*10 {
		t.Errorf("%d events", n)
	}
}

// pipeServer serves one end of an in-memory connection, so that a test can run
// in a bubble with its own time.
func pipeServer(t *testing.T, em plugin.Emitter, keysAndValues ...string) (*client, *plugin.Env) {
	env := plugintest.Env(t)
	in := plugintest.NewInput(t, Def(), env, keysAndValues...).(*Input)
	here, there := net.Pipe()
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		newConn(ctx, in, there, em).serve()
	}()
	t.Cleanup(func() { cancel(); here.Close(); <-done })
	return &client{here, t, nil}, env
}

func TestAPeerThatStopsInsideAMessageIsDisconnected(t *testing.T) {
	for name, b := range map[string][]byte{
		"message":  pack(list{"t", sec, dict{"a", 1}})[:8],
		"header":   pack(list{"t", sec, dict{"a", 1}})[:2],
		"packed":   pack(list{"t", bin(packEntries(3))})[:20],
		"at a cut": pack(list{"t", list{entry1(0), entry1(1)}})[:4+len(pack(entry1(0)))],
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, env := pipeServer(t, &plugintest.Emitter{})
				c.Write(b)
				time.Sleep(stallAfter - time.Second)
				synctest.Wait()
				if n := plugintest.Rejected(env, "stalled"); n != 0 {
					t.Fatal("disconnected too early")
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if n := plugintest.Rejected(env, "stalled"); n != 1 {
					t.Errorf("stalled: %d", n)
				}
				if _, err := c.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("the connection gives %v", err)
				}
			})
		})
	}
}

// sized tells how much each read asks for.
type sized struct {
	net.Conn
	size atomic.Int64
}

func (c *sized) Read(p []byte) (int, error) {
	c.size.Store(int64(len(p)))
	return c.Conn.Read(p)
}

func TestAQuietConnectionStaysAndCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		em := &plugintest.Emitter{}
		env := plugintest.Env(t)
		in := plugintest.NewInput(t, Def(), env).(*Input)
		here, there := net.Pipe()
		conn := &sized{Conn: there}
		k := newConn(t.Context(), in, conn, em)
		done := make(chan struct{})
		go func() {
			defer close(done)
			k.serve()
		}()
		here.Write(pack(list{"t", 1, dict{}}))
		synctest.Wait()
		if n := conn.size.Load(); n != smallBuffer {
			t.Errorf("a connection that sends little has a buffer of %d bytes", n)
		}
		here.Write(pack(list{"t", 2, dict{"a", strings.Repeat("x", 2*smallBuffer)}}))
		synctest.Wait()
		if n := conn.size.Load(); n != baseBuffer {
			t.Errorf("a busy connection has a buffer of %d bytes", n)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := conn.size.Load(); n != smallBuffer {
			t.Errorf("a quiet connection has a buffer of %d bytes", n)
		}
		large := pack(list{"t", 3, dict{"a", strings.Repeat("x", 3*smallBuffer)}})
		here.Write(large)
		synctest.Wait()
		if n := len(em.Events()); n != 3 {
			t.Errorf("%d events", n)
		}
		here.Close()
		<-done
		if c := plugintest.Counters(env); len(c) != 0 {
			t.Errorf("counters %v", c)
		}
	})
}

func TestAPeerThatReadsNoAcksIsNotReadFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		em := &plugintest.Emitter{}
		c, _ := pipeServer(t, em)
		var b []byte
		id := strings.Repeat("i", 4000)
		for range 20 {
			b = append(b, pack(list{"t", list{}, dict{"chunk", id}})...)
		}
		c.SetWriteDeadline(time.Now().Add(10 * time.Second))
		sent := 0
		var err error
		for err == nil && sent < 1000 {
			_, err = c.Write(b) // the pipe has no buffer
			sent++
		}
		if err == nil {
			t.Fatal("the backlog of acknowledgements is not limited")
		}
		if got := sent * len(b); got > maxAckBacklog+10*baseBuffer {
			t.Errorf("%d bytes were read", got)
		}
		// It is disconnected in the end.
		time.Sleep(ackTimeout)
		synctest.Wait()
		if _, err := c.Write(b); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the connection gives %v", err)
		}
	})
}

func TestASlowHandshakeIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, env := pipeServer(t, &plugintest.Emitter{}, "empty_shared_key", "on")
		if _, err := io.ReadFull(c, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		go io.Copy(io.Discard, c)
		for range 20 { // never quiet for long
			time.Sleep(time.Second)
			c.Write([]byte{0x96}[:1])
		}
		synctest.Wait()
		if n := plugintest.Rejected(env, "handshake_timeout") + plugintest.Rejected(env, "invalid_handshake"); n != 1 {
			t.Errorf("counters %v", plugintest.Counters(env))
		}
	})
}

func TestAcksAfterTheEndGoNowhere(t *testing.T) {
	em := &held{}
	in := plugintest.NewInput(t, Def(), plugintest.Env(t)).(*Input)
	here, there := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	k := newConn(ctx, in, there, em)
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.serve()
	}()
	here.Write(pack(list{"t", list{entry1(0)}, dict{"chunk", "late"}}))
	here.Write(pack(nil)) // read only after the first was emitted
	cancel()
	here.Close()
	<-done
	for _, b := range em.batches {
		b.Free()
	}
	if len(em.batches) != 1 || k.writing || len(k.backlog) > 0 {
		t.Errorf("%d batches, %d bytes wait", len(em.batches), len(k.backlog))
	}
}

func TestMessagesOfDockerAndFluentLoggers(t *testing.T) {
	// What fluent-logger-golang, which Docker uses, sends for a container's line:
	// sub-second precision off and on, options as nil in old versions.
	s := serve(t)
	c := s.dial()
	line := dict{"container_id", "3f4e", "container_name", "/web", "source", "stdout", "log", "hello"}
	c.send(list{"docker.web", sec, line, nil}, list{"docker.web", eventTime{sec, 1}, line, dict{}})
	want := `{"container_id":"3f4e","container_name":"/web","source":"stdout","log":"hello"}` + "\n"
	s.want(2, "docker.web @1700000000.000000000 "+want+"docker.web @1700000000.000000001 "+want)
}

func TestBinaryValuesSurvive(t *testing.T) {
	var got []byte
	h := newHarness(bytes.NewReader(pack(list{"t", sec, dict{"b", bin{0, 0xff}}})), &tagRule{})
	h.dec.out.emit = emitFunc(func(b *event.Batch) {
		got = slices.Clone(b.Events[0].Record())
		b.Free()
	})
	h.dec.message()
	h.dec.out.flush()
	if want := pack(dict{"b", bin{0, 0xff}}); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

type emitFunc func(b *event.Batch)

func (f emitFunc) Emit(_ context.Context, b *event.Batch) error { f(b); return nil }
