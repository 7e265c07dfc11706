package health

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/internal/netx/netxtest"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "host", "127.0.0.1", "port", "1") }

// serve accepts and closes connections until the returned function is called.
func serve(t testing.TB, config *tls.Config) (port string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if tc, ok := conn.(*tls.Conn); ok {
				_ = tc.Handshake()
			}
			_ = conn.Close()
		}
	}()
	stop = func() { _ = l.Close(); <-done }
	t.Cleanup(stop)
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, stop
}

var quick = []string{"host", "127.0.0.1", "interval_sec", "0", "interval_nsec", "5000000"}

func TestContract(t *testing.T) {
	plugintest.Input(t, plugintest.InputSuite{Def: Def(), Open: func(t *testing.T) plugintest.Source {
		port, _ := serve(t, nil)
		return plugintest.Source{Props: append(quick, "port", port)}
	}})
}

// run starts an input that is quick.
func run(t *testing.T, keysAndValues ...string) *plugintest.Emitter {
	t.Helper()
	em := &plugintest.Emitter{}
	plugintest.Run(t, plugintest.NewInput(t, Def(), plugintest.Env(t), append(keysAndValues, quick...)...), em)
	return em
}

// waitFor waits for a record.
func waitFor(t *testing.T, em *plugintest.Emitter, want string) {
	t.Helper()
	for n := 1; ; n++ {
		if got := em.Wait(t, n)[n-1].Record; got == want {
			return
		} else if n > 500 {
			t.Fatalf("the last record is %s, expected %s", got, want)
		}
	}
}

func TestAliveAndNot(t *testing.T) {
	port, stop := serve(t, nil)
	em := run(t, "port", port)
	waitFor(t, em, `{"alive":true}`)
	stop()
	waitFor(t, em, `{"alive":false}`)
}

func TestHostAndPortAreAdded(t *testing.T) {
	port, _ := serve(t, nil)
	em := run(t, "port", port, "add_host", "on", "add_port", "on")
	waitFor(t, em, fmt.Sprintf(`{"alive":true,"hostname":"127.0.0.1","port":%s}`, port))
}

func TestAlertIsSilentWhileTheServerIsAlive(t *testing.T) {
	port, stop := serve(t, nil)
	em := run(t, "port", port, "alert", "on")
	other := run(t, "port", port)
	other.Wait(t, 5)
	if n := em.Batches(); n != 0 {
		t.Errorf("%d records were made although the server is alive", n)
	}
	stop()
	waitFor(t, em, `{"alive":false}`)
}

func TestTLS(t *testing.T) {
	ca := netxtest.NewCA(t)
	port, _ := serve(t, ca.Server())
	waitFor(t, run(t, "port", port, "tls", "on", "tls.ca_file", ca.File), `{"alive":true}`)
	// Its certificate is signed by nobody that is known.
	waitFor(t, run(t, "port", port, "tls", "on"), `{"alive":false}`)
}

func TestBadOptionsAreRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		_, err := plugintest.TryInput(Def(), plugintest.Env(t), keysAndValues...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, expected one with %q", keysAndValues, err, want)
		}
	}
	f(`"host" is missing`)
	f("port is 70000", "host", "x", "port", "70000")
}
