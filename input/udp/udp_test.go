package udp

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func freePort(t testing.TB) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, port, _ := net.SplitHostPort(c.LocalAddr().String())
	return port
}

func dial(t testing.TB, port string) net.Conn {
	t.Helper()
	conn, err := net.Dial("udp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestContract(t *testing.T) {
	plugintest.Input(t, plugintest.InputSuite{Def: Def(), Open: func(t *testing.T) plugintest.Source {
		port := freePort(t)
		return plugintest.Source{
			Props: []string{"listen", "127.0.0.1", "port", port},
			Feed: func(t *testing.T) {
				// A datagram before the second run has opened its socket is lost.
				conn := dial(t, port)
				stop := make(chan struct{})
				done := make(chan struct{})
				t.Cleanup(func() { close(stop); <-done })
				go func() {
					defer close(done)
					for {
						_, _ = conn.Write([]byte(`{"a":1}`))
						select {
						case <-stop:
							return
						case <-time.After(10 * time.Millisecond):
						}
					}
				}()
			},
		}
	}})
}

// exchange sends datagrams to an input and returns the n records they make.
func exchange(t *testing.T, env *plugin.Env, n int, props []string, datagrams ...string) (records []string, source string) {
	t.Helper()
	plugintest.NoLeaks(t)
	port := freePort(t)
	var em plugintest.Emitter
	in := plugintest.NewInput(t, Def(), env, append(props, "listen", "127.0.0.1", "port", port)...)
	r := plugintest.Run(t, in, &em)
	conn := dial(t, port)
	for _, d := range datagrams {
		if _, err := conn.Write([]byte(d)); err != nil {
			t.Fatal(err)
		}
	}
	em.Wait(t, n)
	if err := r.Stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	return em.Records(), conn.LocalAddr().String()
}

func TestDatagrams(t *testing.T) {
	f := func(props, datagrams, want []string) {
		t.Helper()
		got, _ := exchange(t, plugintest.Env(t), len(want), props, datagrams...)
		if !slices.Equal(got, want) {
			t.Errorf("with %q, %.100q makes %.200q, expected %.200q", props, datagrams, got, want)
		}
	}
	long := strings.Repeat("x", 60000)
	f(nil, []string{`{"a":1}`, "{\"b\":2}\n{\"c\":3}", `[4]`}, []string{`{"a":1}`, `{"b":2}`, `{"c":3}`, `{"msg":[4]}`})
	f(nil, []string{`{"a":"` + long + `"}`}, []string{`{"a":"` + long + `"}`})
	f([]string{"format", "none"}, []string{"a\n\nb\n", "\r\nc\n"}, []string{`{"log":"a"}`, `{"log":"b"}`, `{"log":"c"}`})
}

func TestUnfinishedDatagramsAreDroppedAndCounted(t *testing.T) {
	f := func(props, datagrams []string, reason string, n uint64) {
		t.Helper()
		env := plugintest.Env(t)
		// The last datagram shows that the others were read.
		exchange(t, env, 1, props, append(datagrams, "{\"end\":1}\n")...)
		if got := plugintest.Rejected(env, reason); got != n {
			t.Errorf("with %q, %q counts %d for %s, expected %d", props, datagrams, got, reason, n)
		}
	}
	f(nil, []string{`{"a":`, `1}`}, "unfinished_message", 1)
	f(nil, []string{`{"a":`, `1}`}, "not_a_record", 1)
	f([]string{"format", "none"}, []string{`no newline`}, "unfinished_message", 1)
}

func TestSourceAddress(t *testing.T) {
	got, source := exchange(t, plugintest.Env(t), 1, []string{"source_address_key", "from"}, `{"a":1}`)
	if want := fmt.Sprintf(`{"a":1,"from":"udp://%s"}`, source); got[0] != want {
		t.Errorf("the record is %s, expected %s", got[0], want)
	}
}

func TestAPortInUseRefusesTheStart(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, port, _ := net.SplitHostPort(c.LocalAddr().String())
	in := plugintest.NewInput(t, Def(), plugintest.Env(t), "listen", "127.0.0.1", "port", port)
	if err := in.(plugin.Starter).Start(t.Context()); err == nil {
		t.Error("Start returned no error")
	}
}
