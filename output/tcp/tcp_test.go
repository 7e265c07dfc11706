package tcp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/netx/netxtest"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// sink is a server that keeps what it gets.
type sink struct {
	l    net.Listener
	mu   sync.Mutex
	got  bytes.Buffer
	all  sync.WaitGroup
	open []net.Conn
}

func newSink(t testing.TB, l net.Listener) *sink {
	t.Helper()
	s := &sink{l: l}
	s.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.open = append(s.open, c)
			s.mu.Unlock()
			s.all.Go(func() {
				defer c.Close()
				buf := make([]byte, 64<<10)
				for {
					n, err := c.Read(buf)
					s.mu.Lock()
					s.got.Write(buf[:n])
					s.mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(s.close)
	return s
}

func (s *sink) close() {
	s.l.Close()
	s.mu.Lock()
	for _, c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.all.Wait()
}

func (s *sink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

// wait waits for exactly the text.
func (s *sink) wait(t testing.TB, want string) {
	t.Helper()
	for end := time.Now().Add(plugintest.Patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if s.text() == want {
			return
		}
	}
	t.Fatalf("the server got\n%q\nwant\n%q", s.text(), want)
}

func listen(t testing.TB, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func props(l net.Listener, more ...string) []string {
	host, port, _ := net.SplitHostPort(l.Addr().String())
	return append([]string{"host", host, "port", port}, more...)
}

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func TestContract(t *testing.T) {
	plugintest.Output(t, plugintest.OutputSuite{
		Def: Def(), Behaviours: []plugintest.Behaviour{plugintest.Transient}, Twice: true,
		Open: func(t *testing.T, b plugintest.Behaviour) plugintest.Destination {
			l := listen(t, "tcp", "127.0.0.1:0")
			d := plugintest.Destination{Props: props(l, "format", "json_lines")}
			if b == plugintest.Transient { // nobody listens until Heal
				addr := l.Addr().String()
				l.Close()
				var s *sink
				d.Heal = func() { s = newSink(t, listen(t, "tcp", addr)) }
				d.Delivered = func() string { return s.text() }
				return d
			}
			s := newSink(t, l)
			d.Delivered = s.text
			return d
		},
	})
}

func TestFormats(t *testing.T) {
	c := plugintest.Chunk(t, "a.tag", `{"log":"one","n":1.5}`, `{"m":{"k":1}}`)
	defer c.Release()
	f := func(want string, kv ...string) {
		t.Helper()
		s := newSink(t, listen(t, "tcp", "127.0.0.1:0"))
		out := plugintest.NewOutput(t, Def(), plugintest.Env(t), props(s.l, kv...)...)
		if err := out.Send(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		s.wait(t, want)
	}
	f(string(c.Bytes()))
	f(string(c.Bytes()), "format", "nonsense")
	f(`[{"date":1700000000.25,"log":"one","n":1.5},{"date":1700000001.25,"m":{"k":1}}]`, "format", "json")
	f("{\"ts\":1700000000250,\"log\":\"one\",\"n\":1.5}\n{\"ts\":1700000001250,\"m\":{\"k\":1}}\n", "format", "json_lines", "json_date_key", "ts", "json_date_format", "epoch_ms")
	f(`{"log":"one","n":1.5}{"m":{"k":1}}`, "format", "json_stream", "json_date_key", "no")
	f("one\n\n", "raw_message_key", "$log")
	f("a.tag x 1.500000\na.tag x \n", "raw_message_key", "$TAG x $n", "format", "json")
	f("log\nlog\n", "raw_message_key", "log")
}

func TestMissingRawKeysAreCounted(t *testing.T) {
	s := newSink(t, listen(t, "tcp", "127.0.0.1:0"))
	env, log := plugintest.LoggedEnv(t)
	out := plugintest.NewOutput(t, Def(), env, props(s.l, "raw_message_key", "$log")...)
	if err := out.Send(t.Context(), plugintest.Chunk(t, "t", `{"log":"a"}`, `{}`, `{"log":[1]}`)); err != nil {
		t.Fatal(err)
	}
	if n := plugintest.Dropped(env, "no_raw_message"); n != 2 || !strings.Contains(log.String(), "records=2") {
		t.Errorf("%d were counted", n)
	}
	plugintest.NewOutput(t, Def(), env, "raw_message_key", "log")
	if !strings.Contains(log.String(), "names no key") {
		t.Error("a raw_message_key without a key is not mentioned")
	}
	if _, err := plugintest.TryOutput(Def(), env, "raw_message_key", "$log['"); err == nil {
		t.Error("a bad accessor is accepted")
	}
}

func TestConnectionsAreKeptAndReplaced(t *testing.T) {
	s := newSink(t, listen(t, "tcp", "127.0.0.1:0"))
	out := plugintest.NewOutput(t, Def(), plugintest.Env(t), props(s.l, "raw_message_key", "$log")...)
	send := func(text string) {
		t.Helper()
		c := plugintest.Chunk(t, "t", `{"log":"`+text+`"}`)
		defer c.Release()
		if err := out.Send(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	send("a")
	send("b")
	s.wait(t, "a\nb\n")
	if n := len(s.open); n != 1 {
		t.Errorf("%d connections for two chunks", n)
	}
	s.open[0].Close()
	time.Sleep(20 * time.Millisecond)
	send("c")
	s.wait(t, "a\nb\nc\n")
}

func TestTLSAndUnixSocket(t *testing.T) {
	ca := netxtest.NewCA(t)
	c := plugintest.Chunk(t, "t", `{"log":"x"}`)
	defer c.Release()
	s := newSink(t, tls.NewListener(listen(t, "tcp", "127.0.0.1:0"), ca.Server()))
	out := plugintest.NewOutput(t, Def(), plugintest.Env(t), props(s.l, "raw_message_key", "$log", "tls", "on", "tls.ca_file", ca.File)...)
	for range 3 {
		if err := out.Send(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	s.wait(t, "x\nx\nx\n")
	if err := plugintest.NewOutput(t, Def(), plugintest.Env(t), props(s.l, "tls", "on")...).Send(t.Context(), c); err == nil {
		t.Error("an unknown CA is trusted")
	}

	path := filepath.Join(t.TempDir(), "s")
	u := newSink(t, listen(t, "unix", path))
	out = plugintest.NewOutput(t, Def(), plugintest.Env(t), "unix_path", path, "raw_message_key", "$log")
	if err := out.Send(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	u.wait(t, "x\n")
}

func TestAPeerThatNeverReadsIsGivenUp(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0") // nobody accepts
	defer l.Close()
	big := event.NewChunk(event.ChunkID{}, "t", event.Logs, 1, make([]byte, 32<<20))
	defer big.Release()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := plugintest.NewOutput(t, Def(), plugintest.Env(t), props(l)...).Send(ctx, big)
	var never *plugin.PermanentError
	if err == nil || errors.As(err, &never) {
		t.Errorf("got %v", err)
	}
	out := plugintest.NewOutput(t, Def(), plugintest.Env(t), props(l, "net.io_timeout", "100ms")...)
	if err := out.Send(t.Context(), big); err == nil {
		t.Error("net.io_timeout does not end it")
	}
}

func TestRawLinesDoNotAllocate(t *testing.T) {
	out, err := plugintest.TryOutput(Def(), plugintest.Env(t), "raw_message_key", "$log")
	if err != nil {
		t.Fatal(err)
	}
	records := make([]string, 1000)
	for i := range records {
		records[i] = `{"level":"info","log":"a line of text"}`
	}
	c := plugintest.Chunk(t, "t", records...)
	defer c.Release()
	var w bytes.Buffer
	o := out.(*Output)
	if n := testing.AllocsPerRun(20, func() {
		w.Reset()
		_, _ = o.writeRaw(&w, c)
	}); n > 20 { // the pool may be emptied at any time
		t.Errorf("%v allocations for 1000 records", n)
	}
}
