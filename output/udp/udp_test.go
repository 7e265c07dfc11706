package udp

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// sink keeps datagrams.
type sink struct {
	conn net.PacketConn
	mu   sync.Mutex
	got  []string
}

func newSink(t testing.TB, address string) *sink {
	t.Helper()
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{conn: conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.got = append(s.got, string(buf[:n]))
			s.mu.Unlock()
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return s
}

func (s *sink) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *sink) wait(t testing.TB, want ...string) {
	t.Helper()
	for end := time.Now().Add(plugintest.Patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if slices.Equal(s.all(), want) {
			return
		}
	}
	t.Fatalf("got %q, want %q", s.all(), want)
}

func props(s *sink, more ...string) []string {
	host, port, _ := net.SplitHostPort(s.conn.LocalAddr().String())
	return append([]string{"host", host, "port", port}, more...)
}

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func TestContract(t *testing.T) {
	plugintest.Output(t, plugintest.OutputSuite{
		Def: Def(),
		Open: func(t *testing.T, b plugintest.Behaviour) plugintest.Destination {
			s := newSink(t, "127.0.0.1:0")
			return plugintest.Destination{Props: props(s), Delivered: func() string { return strings.Join(s.all(), "") }}
		},
	})
}

func TestFormats(t *testing.T) {
	c := plugintest.Chunk(t, "a.tag", `{"log":"one"}`, `{"n":1.5}`)
	defer c.Release()
	f := func(want []string, kv ...string) {
		t.Helper()
		s := newSink(t, "127.0.0.1:0")
		if err := plugintest.NewOutput(t, Def(), plugintest.Env(t), props(s, kv...)...).Send(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		s.wait(t, want...)
	}
	f([]string{"{\"date\":1700000000.25,\"log\":\"one\"}\n", "{\"date\":1700000001.25,\"n\":1.5}\n"})
	f([]string{"{\"log\":\"one\"}\n", "{\"n\":1.5}\n"}, "format", "json_stream", "json_date_key", "false")
	f([]string{"[{\"date\":1700000000,\"log\":\"one\"}]\n", "[{\"date\":1700000001,\"n\":1.5}]\n"}, "format", "json", "json_date_format", "epoch")
	f([]string{"one\n", "\n"}, "raw_message_key", "$log")
	var entries []string
	for cur := c.Cursor(); cur.Next(); {
		entries = append(entries, string(cur.Entry()))
	}
	f(entries, "format", "msgpack")
}

func TestWhatADatagramCannotHoldIsGivenUpAlone(t *testing.T) {
	s := newSink(t, "127.0.0.1:0")
	env := plugintest.Env(t)
	out := plugintest.NewOutput(t, Def(), env, props(s, "raw_message_key", "$log")...)
	c := plugintest.Chunk(t, "t", `{"log":"a"}`, fmt.Sprintf(`{"log":%q}`, strings.Repeat("x", 70_000)), `{"log":"b"}`, `{}`)
	defer c.Release()
	var part *plugin.PartialError
	if err := out.Send(t.Context(), c); !errors.As(err, &part) || !slices.Equal(part.Rejected, []int{1}) || len(part.Retry) != 0 {
		t.Errorf("got %v", err)
	}
	s.wait(t, "a\n", "b\n", "\n")
	if n := plugintest.Dropped(env, "no_raw_message"); n != 1 {
		t.Errorf("%d records without text were counted", n)
	}
	var never *plugin.PermanentError
	if err := out.Send(t.Context(), c.Select([]int{1})); !errors.As(err, &never) {
		t.Errorf("alone: %v", err)
	}
}

func TestAClosedPortIsRetried(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := conn.LocalAddr().String()
	conn.Close()
	host, port, _ := net.SplitHostPort(addr)
	out := plugintest.NewOutput(t, Def(), plugintest.Env(t), "host", host, "port", port, "raw_message_key", "$log")
	var never *plugin.PermanentError
	c := plugintest.Chunk(t, "t", `{"log":"a"}`, `{"log":"b"}`, `{"log":"c"}`)
	defer c.Release()
	var failed error
	for end := time.Now().Add(plugintest.Patience); failed == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		failed = out.Send(t.Context(), c)
	}
	if failed == nil || errors.As(failed, &never) {
		t.Fatalf("got %v", failed)
	}
	s := newSink(t, addr)
	if err := out.Send(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	s.wait(t, "a\n", "b\n", "c\n")
}

func TestABadHostIsRetried(t *testing.T) {
	out := plugintest.NewOutput(t, Def(), plugintest.Env(t), "host", "no.such.host.invalid", "net.connect_timeout", "1")
	c := plugintest.Chunk(t, "t", `{}`)
	defer c.Release()
	var never *plugin.PermanentError
	if err := out.Send(t.Context(), c); err == nil || errors.As(err, &never) {
		t.Errorf("got %v", err)
	}
}

func TestMessagesDoNotAllocate(t *testing.T) {
	out, err := plugintest.TryOutput(Def(), plugintest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	o := out.(*Output)
	c := plugintest.Chunk(t, "t", `{"level":"info","log":"a line of text","n":1}`)
	defer c.Release()
	buf := make([]byte, 0, 1024)
	var cur event.Cursor
	if n := testing.AllocsPerRun(100, func() {
		cur = c.Cursor()
		for cur.Next() {
			buf, _ = o.message(buf[:0], c.Tag, &cur)
		}
	}); n > 0 {
		t.Errorf("%v allocations for a message", n)
	}
}
