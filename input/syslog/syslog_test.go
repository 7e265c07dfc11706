//go:build unix

package syslog

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// simple parses "<pri>text".
type simple struct{}

var pattern = regexp.MustCompile(`(?s)^<(\d+)>(.*?)\n?$`)

func (simple) Parse(line []byte, e *event.Event) bool {
	m := pattern.FindSubmatch(line)
	if m == nil {
		return false
	}
	b := e.Batch()
	e.SetFields(nil)
	e.Append(b.String("pri"), b.Text(m[1]))
	e.Append(b.String("text"), b.Text(m[2]))
	if bytes.HasPrefix(m[2], []byte("epoch")) {
		e.Time = 0
	}
	return true
}

func env(t testing.TB) *plugin.Env {
	e := plugintest.Env(t)
	e.Parser = func(name string) (plugin.Parser, error) {
		switch name {
		case "s", "syslog-rfc5424":
			return simple{}, nil
		}
		return nil, fmt.Errorf("parser %q is not defined", name)
	}
	return e
}

func TestDefinition(t *testing.T) {
	// New needs a parser, which the suite's environment does not have.
	plugintest.DefinitionIn(t, Def(), func(e *plugin.Env) { e.Parser = env(t).Parser }, "mode", "tcp")
}

// place is where an input of a mode listens.
type place struct {
	mode, network, address string
	props                  []string
}

func newPlace(t testing.TB, mode string) place {
	t.Helper()
	p := place{mode: mode, props: []string{"mode", mode, "parser", "s"}}
	switch mode {
	case modeTCP, modeUDP:
		p.network = mode
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p.address = l.Addr().String()
		_ = l.Close()
		_, port, _ := net.SplitHostPort(p.address)
		p.props = append(p.props, "listen", "127.0.0.1", "port", port)
	default:
		dir, err := os.MkdirTemp("", "kg")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		p.address = filepath.Join(dir, "s")
		p.props = append(p.props, "path", p.address)
		if p.network = "unix"; mode == modeUnixUDP {
			p.network = "unixgram"
		}
	}
	return p
}

func (p place) dial(t testing.TB) net.Conn {
	t.Helper()
	for deadline := time.Now().Add(plugintest.Patience); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial(p.network, p.address)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
			return conn
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func send(t testing.TB, conn net.Conn, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

var allModes = []string{modeTCP, modeUDP, modeUnixTCP, modeUnixUDP}

func TestContract(t *testing.T) {
	for _, mode := range allModes {
		t.Run(mode, func(t *testing.T) {
			plugintest.Input(t, plugintest.InputSuite{
				Def: Def(),
				Env: func(e *plugin.Env) { e.Parser = env(t).Parser },
				Open: func(t *testing.T) plugintest.Source {
					p := newPlace(t, mode)
					return plugintest.Source{Props: p.props, Feed: func(t *testing.T) {
						conn := p.dial(t)
						stop, done := make(chan struct{}), make(chan struct{})
						t.Cleanup(func() { close(stop); <-done })
						// A datagram to a socket that is not open yet is lost.
						go func() {
							defer close(done)
							for {
								_, _ = conn.Write([]byte("<1>hi\n"))
								select {
								case <-stop:
									return
								case <-time.After(10 * time.Millisecond):
								}
							}
						}()
					}}
				},
			})
		})
	}
}

// exchange sends texts to an input and returns the n records they make.
func exchange(t *testing.T, e *plugin.Env, mode string, props []string, n int, texts ...string) []plugintest.Event {
	t.Helper()
	plugintest.NoLeaks(t)
	p := newPlace(t, mode)
	var em plugintest.Emitter
	in := plugintest.NewInput(t, Def(), e, append(p.props, props...)...)
	r := plugintest.Run(t, in, &em)
	conn := p.dial(t)
	send(t, conn, texts...)
	em.Wait(t, n)
	_ = conn.Close()
	if err := r.Stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	return em.Events()
}

func TestMessages(t *testing.T) {
	f := func(mode string, props, texts, want []string) {
		t.Helper()
		var got []string
		for _, e := range exchange(t, env(t), mode, props, len(want), texts...) {
			got = append(got, e.Record)
		}
		if !slices.Equal(got, want) {
			t.Errorf("mode %s with %q: %.100q makes %.300q, expected %.300q", mode, props, texts, got, want)
		}
	}
	lines := []string{"<1>hi\n\n<2>yo\r\nbroken\n<3>", "there\n"}
	want := []string{`{"pri":"1","text":"hi"}`, `{"pri":"2","text":"yo\r"}`, `{"pri":"3","text":"there"}`}
	f(modeTCP, nil, lines, want)
	f(modeUnixTCP, nil, lines, want)
	f(modeTCP, []string{"format", "weird"}, lines, want)
	f(modeTCP, []string{"format", "octet_counting"}, []string{"5 <1>hi6 <2>a\nb9 nonsense!4 <", "3>q"},
		[]string{`{"pri":"1","text":"hi"}`, `{"pri":"2","text":"a\nb"}`, `{"pri":"3","text":"q"}`})
	f(modeTCP, []string{"raw_message_key", "raw"}, []string{"<1>hi\n"}, []string{`{"pri":"1","text":"hi","raw":"<1>hi"}`})

	datagrams := []string{"<1>hi\n<2>yo\n", "broken", "<3>x"}
	want = []string{`{"pri":"1","text":"hi\n<2>yo"}`, `{"pri":"3","text":"x"}`}
	f(modeUDP, nil, datagrams, want)
	f(modeUnixUDP, nil, datagrams, want)
	long := strings.Repeat("x", 50000)
	f(modeUDP, []string{"buffer_chunk_size", "100"}, []string{"<1>" + long}, []string{`{"pri":"1","text":"` + long + `"}`})
	f(modeUnixUDP, []string{"raw_message_key", "raw", "source_address_key", "from"}, []string{"<1>hi\n"},
		[]string{`{"pri":"1","text":"hi","raw":"<1>hi\n","from":"unix://unavailable"}`})
	f(modeUnixTCP, []string{"source_address_key", "from"}, []string{"<1>hi\n"},
		[]string{`{"pri":"1","text":"hi","from":"unix://pid_` + strconv.Itoa(os.Getpid()) + `"}`})
}

func TestSourceAddresses(t *testing.T) {
	for _, mode := range []string{modeTCP, modeUDP} {
		got := exchange(t, env(t), mode, []string{"source_address_key", "from"}, 1, "<1>hi\n")[0].Record
		if want := `"from":"` + mode + `://127\.0\.0\.1:\d+"\}$`; !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("in mode %s the record is %s, expected a match of %s", mode, got, want)
		}
	}
}

func TestATimeOfZeroIsNone(t *testing.T) {
	got := exchange(t, env(t), modeTCP, nil, 1, "<1>epoch\n")[0]
	if since := time.Since(time.Unix(0, got.Time)); since < 0 || since > time.Hour {
		t.Errorf("the time of the event is %v", time.Unix(0, got.Time))
	}
}

func TestWhatIsBrokenIsCounted(t *testing.T) {
	f := func(mode string, props []string, reason string, n uint64, texts ...string) {
		t.Helper()
		e := env(t)
		exchange(t, e, mode, props, 1, texts...)
		for deadline := time.Now().Add(plugintest.Patience); plugintest.Rejected(e, reason) != n; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("mode %s with %q: counters %v, expected %d for %s", mode, props, plugintest.Counters(e), n, reason)
			}
		}
	}
	f(modeTCP, nil, "parse_failed", 2, "bad\n<1>ok\nworse\n")
	f(modeTCP, nil, "parse_failed", 1, "bad\n<1>ok\n")
	f(modeUDP, nil, "parse_failed", 1, "bad", "<1>ok")
	f(modeTCP, nil, "unfinished_message", 1, "<1>ok\n<1>half")
}

// A message of which a part has come when the input ends is lost, but told.
func TestTheEndCutsMessagesOffAndSaysSo(t *testing.T) {
	plugintest.NoLeaks(t)
	p, e := newPlace(t, modeTCP), env(t)
	var em plugintest.Emitter
	r := plugintest.Run(t, plugintest.NewInput(t, Def(), e, p.props...), &em)
	conn := p.dial(t)
	defer conn.Close()
	send(t, conn, "<1>ok\n<1>half")
	em.Wait(t, 1)
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := plugintest.Rejected(e, "unfinished_message"); n != 1 {
		t.Errorf("counters: %v, expected 1 for unfinished_message", plugintest.Counters(e))
	}
}

func TestConnectionsThatCannotGoOnAreClosed(t *testing.T) {
	f := func(reason string, props []string, text string) {
		t.Helper()
		plugintest.NoLeaks(t)
		e := env(t)
		p := newPlace(t, modeTCP)
		var em plugintest.Emitter
		plugintest.Run(t, plugintest.NewInput(t, Def(), e, append(p.props, props...)...), &em)
		conn := p.dial(t)
		send(t, conn, text)
		_ = conn.SetReadDeadline(time.Now().Add(plugintest.Patience))
		if _, err := conn.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			t.Errorf("with %q after %.50q the connection is open", props, text)
		}
		// What came before was taken.
		em.Wait(t, 1)
		if n := plugintest.Rejected(e, reason); n != 1 {
			t.Errorf("with %q, %.50q: counters %v, expected 1 for %s", props, text, plugintest.Counters(e), reason)
		}
	}
	f("message_too_long", []string{"buffer_chunk_size", "100"}, "<1>a\n<2>"+strings.Repeat("x", 200))
	f("message_too_long", []string{"buffer_chunk_size", "100", "format", "octet"}, "4 <1>a200 <2>")
	f("invalid_length", []string{"format", "octet"}, "4 <1>a<2>b\n")
}

func TestSocketFile(t *testing.T) {
	f := func(want fs.FileMode, keysAndValues ...string) {
		t.Helper()
		p := newPlace(t, modeUnixUDP)
		in := plugintest.NewInput(t, Def(), env(t), append(p.props, keysAndValues...)...).(*Input)
		if err := in.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(p.address)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("with %q the permissions are %o, expected %o", keysAndValues, got, want)
		}
		if err := in.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if _, err := os.Stat(p.address); err == nil {
			t.Error("the socket's file is still there")
		}
	}
	f(0o644)
	f(0o600, "unix_perm", "0600")
}

func TestBadOptionsAreRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		_, err := plugintest.TryInput(Def(), env(t), keysAndValues...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, expected one with %q", keysAndValues, err, want)
		}
	}
	f(`"syslog-rfc3164-local" is not defined`, "path", "/x")
	f(`"p" is not defined`, "mode", "tcp", "parser", "p")
	f("needs the option path", "parser", "s")
	f(`"sctp" is not one of`, "mode", "sctp")
	f("port", "mode", "tcp", "port", "-1")
	f("receive_buffer_size", "mode", "udp", "receive_buffer_size", "3G")
	f("buffer_chunk_size", "mode", "tcp", "buffer_chunk_size", "0")
	if _, err := plugintest.TryInput(Def(), env(t), "mode", "tcp", "receive_buffer_size", "1M"); err != nil {
		t.Errorf("with the default parser: %v", err)
	}
}
