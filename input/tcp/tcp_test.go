package tcp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/netx/netxtest"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

// freePort returns a port that nobody listens on.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// dial connects, and waits for the listener if need be.
func dial(t testing.TB, port string) net.Conn {
	t.Helper()
	for deadline := time.Now().Add(plugintest.Patience); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
			return conn
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func write(t testing.TB, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	plugintest.Input(t, plugintest.InputSuite{Def: Def(), Open: func(t *testing.T) plugintest.Source {
		port := freePort(t)
		return plugintest.Source{
			Props: []string{"listen", "127.0.0.1", "port", port},
			Feed:  func(t *testing.T) { write(t, dial(t, port), `{"a":1}`) },
		}
	}})
}

// start runs an input and returns its port.
func start(t testing.TB, env *plugin.Env, out plugin.Emitter, keysAndValues ...string) (port string, r *plugintest.Running) {
	t.Helper()
	plugintest.NoLeaks(t)
	port = freePort(t)
	in := plugintest.NewInput(t, Def(), env, append(keysAndValues, "listen", "127.0.0.1", "port", port)...)
	return port, plugintest.Run(t, in, out)
}

func TestJSON(t *testing.T) {
	env := plugintest.Env(t)
	var em plugintest.Emitter
	port, _ := start(t, env, &em)
	conn := dial(t, port)
	write(t, conn, "{\"a\":1}{\"b\":[2]}\n{\"c\":")
	em.Wait(t, 2)
	write(t, conn, "\"x\ny\"}\n[3]{\"d\":")
	em.Wait(t, 4)
	_ = conn.Close()
	want := []string{`{"a":1}`, `{"b":[2]}`, `{"c":"x\ny"}`, `{"msg":[3]}`}
	if got := em.Records(); !slices.Equal(got, want) {
		t.Errorf("the records are %q, expected %q", got, want)
	}
	waitRejected(t, env, "unfinished_message", 1)
}

// A message of which a part has come when the input ends is lost, but told.
func TestTheEndCutsMessagesOffAndSaysSo(t *testing.T) {
	for _, format := range []string{"json", "none"} {
		env, log := plugintest.LoggedEnv(t)
		var em plugintest.Emitter
		port, r := start(t, env, &em, "format", format)
		conn := dial(t, port)
		write(t, conn, "{\"a\":1}\n{\"half\":")
		em.Wait(t, 1)
		if err := r.Stop(); err != nil {
			t.Fatal(err)
		}
		if n := plugintest.Rejected(env, "unfinished_message"); n != 1 || !strings.Contains(log.String(), conn.LocalAddr().String()) {
			t.Errorf("%s: counted %v, the log is %q", format, plugintest.Counters(env), log)
		}
	}
}

// What the router does not take any more at its end is counted.
func TestMessagesThatAreNotTakenAtTheEndAreCounted(t *testing.T) {
	env := plugintest.Env(t)
	var em plugintest.Emitter
	em.Block()
	port, r := start(t, env, &em)
	write(t, dial(t, port), `{"a":1}{"b":2}`)
	time.Sleep(50 * time.Millisecond)
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := plugintest.Rejected(env, "not_taken"); n != 2 {
		t.Errorf("counters: %v, expected 2 for not_taken", plugintest.Counters(env))
	}
}

// waitRejected waits until so many inputs were rejected for the reason.
func waitRejected(t testing.TB, env *plugin.Env, reason string, n uint64) {
	t.Helper()
	for deadline := time.Now().Add(plugintest.Patience); plugintest.Rejected(env, reason) != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("counters: %v, expected %d for %s", plugintest.Counters(env), n, reason)
		}
	}
}

func TestWhatOneReadGivesIsOneBatch(t *testing.T) {
	var em plugintest.Emitter
	port, _ := start(t, plugintest.Env(t), &em, "format", "none")
	write(t, dial(t, port), strings.Repeat("line\n", 100))
	em.Wait(t, 100)
	if n := em.Batches(); n > 3 {
		t.Errorf("100 lines that were sent at once came in %d batches", n)
	}
}

func TestSourceAddress(t *testing.T) {
	var em plugintest.Emitter
	port, _ := start(t, plugintest.Env(t), &em, "source_address_key", "from")
	conn := dial(t, port)
	write(t, conn, `{"a":1}`)
	want := fmt.Sprintf(`{"a":1,"from":"tcp://%s"}`, conn.LocalAddr())
	if got := em.Wait(t, 1)[0].Record; got != want {
		t.Errorf("the record is %s, expected %s", got, want)
	}
}

func TestTextThatIsTooLongClosesTheConnection(t *testing.T) {
	env := plugintest.Env(t)
	var em plugintest.Emitter
	port, _ := start(t, env, &em, "format", "none", "chunk_size", "1")
	conn := dial(t, port)
	write(t, conn, "before\n"+strings.Repeat("x", 1023)) // with its newline one too many
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Error("the connection was not closed")
	}
	waitRejected(t, env, "message_too_long", 1)
	// The longest that fits, on a new connection.
	write(t, dial(t, port), strings.Repeat("y", 1022)+"\n")
	if got := em.Wait(t, 2); got[0].Record != `{"log":"before"}` || len(got[1].Record) != 1022+len(`{"log":""}`) {
		t.Errorf("the records are %q", em.Records())
	}
}

func TestLargeBuffer(t *testing.T) {
	var em plugintest.Emitter
	port, _ := start(t, plugintest.Env(t), &em, "buffer_size", "1000")
	long := strings.Repeat("x", 900<<10)
	write(t, dial(t, port), `{"a":"`+long+`"}{"b":1}`)
	got := em.Wait(t, 2)
	if got[0].Record != `{"a":"`+long+`"}` || got[1].Record != `{"b":1}` {
		t.Errorf("the records have %d and %d bytes", len(got[0].Record), len(got[1].Record))
	}
}

func TestBackPressureStopsTheReading(t *testing.T) {
	var em plugintest.Emitter
	port, _ := start(t, plugintest.Env(t), &em, "format", "none")
	unblock := em.Block()
	conn := dial(t, port)
	// More than the buffers of both sockets hold.
	line := strings.Repeat("x", 999) + "\n"
	sent := 0
	if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for sent < 64<<20 {
		n, err := io.WriteString(conn, line)
		sent += n
		if err != nil {
			break
		}
	}
	if sent >= 64<<20 {
		t.Fatal("64 MB were read although nothing was taken")
	}
	unblock()
	em.Wait(t, sent/len(line))
}

func TestManyConnections(t *testing.T) {
	var em plugintest.Emitter
	port, _ := start(t, plugintest.Env(t), &em, "format", "none")
	for i := range 50 {
		conn := dial(t, port)
		write(t, conn, fmt.Sprintf("a%d\nb%d\n", i, i))
		if i%2 == 0 {
			_ = conn.Close()
		}
	}
	em.Wait(t, 100)
}

func TestTLS(t *testing.T) {
	ca := netxtest.NewCA(t)
	cert, key := ca.Issue("server", "127.0.0.1")
	env := plugintest.Env(t)
	var em plugintest.Emitter
	port, _ := start(t, env, &em, "tls", "on", "tls.crt_file", cert, "tls.key_file", key, "source_address_key", "from")
	conn := tls.Client(dial(t, port), &tls.Config{RootCAs: ca.Pool, ServerName: "127.0.0.1"})
	write(t, conn, `{"a":1}`)
	if got := em.Wait(t, 1)[0].Record; !regexp.MustCompile(`^\{"a":1,"from":"tcp://127.0.0.1:\d+"\}$`).MatchString(got) {
		t.Errorf("the record is %s", got)
	}
	_ = conn.Close()
	write(t, dial(t, port), "this is no TLS\n")
	waitRejected(t, env, "tls_handshake", 1)
}

func TestBadOptionsAreRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		_, err := plugintest.TryInput(Def(), plugintest.Env(t), keysAndValues...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, expected one with %q", keysAndValues, err, want)
		}
	}
	f("port 70000", "port", "70000")
	f("not one of json, none", "format", "xml")
	f(`parser "p" is not defined`, "parser", "p")
	f("tls.crt_file", "tls", "on")
}

func TestAPortInUseRefusesTheStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	in := plugintest.NewInput(t, Def(), plugintest.Env(t), "listen", "127.0.0.1", "port", port)
	if err := in.(plugin.Starter).Start(t.Context()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("Start returned %v", err)
	}
}

func BenchmarkLines(b *testing.B) {
	line := []byte("2024-05-06T07:08:09.123Z info a line of a log that is not too short\n")
	text := bytes.Repeat(line, 1000)
	counted := &counter{got: make(chan int, 1<<16)}
	port, _ := start(b, plugintest.Env(b), counted, "format", "none", "buffer_size", "1000")
	conn := dial(b, port)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(text); err != nil {
			b.Fatal(err)
		}
		for n := 0; n < 1000; {
			n += <-counted.got
		}
	}
}

// counter tells how many events each batch has.
type counter struct{ got chan int }

func (c *counter) Emit(_ context.Context, b *event.Batch) error {
	n := len(b.Events)
	b.Free()
	c.got <- n
	return nil
}
