package forward_test

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	input "github.com/kagarilog/kagari/input/forward"
	"github.com/kagarilog/kagari/internal/netx/netxtest"
	"github.com/kagarilog/kagari/output/forward"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// TestRoundTrip sends to the project's own input, in every form.
func TestRoundTrip(t *testing.T) {
	f := func(name string, in, out []string, want ...plugintest.Event) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			plugintest.NoLeaks(t)
			var em plugintest.Emitter
			r := plugintest.Run(t, plugintest.NewInput(t, input.Def(), plugintest.Env(t), in...), &em)
			o := plugintest.NewOutput(t, forward.Def(), plugintest.Env(t), out...)
			var sent []plugintest.Event
			for i := range 500 {
				sent = append(sent, plugintest.Event{Time: plugintest.At + int64(i),
					Record: fmt.Sprintf(`{"n":%d,"log":"%s"}`, i, strings.Repeat("x", i))})
			}
			sent[0] = plugintest.Event{Time: plugintest.At, Meta: `{"m":[1,null]}`, Record: `{"a":{"b":-1.5}}`}
			for range 3 { // the connection is used again
				if err := o.Send(t.Context(), plugintest.ChunkOf(t, "a.b", sent...)); err != nil {
					t.Fatalf("Send: %v", err)
				}
			}
			got := em.Wait(t, 3*len(sent))
			if len(got) != 3*len(sent) {
				t.Errorf("%d events arrived of %d", len(got), 3*len(sent))
			}
			if !slices.Equal(got[:len(want)], want) {
				t.Errorf("the first are %+v, want %+v", got[:len(want)], want)
			}
			if err := r.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
	first := plugintest.Event{Tag: "a.b", Time: plugintest.At, Meta: `{"m":[1,null]}`, Record: `{"a":{"b":-1.5}}`}
	second := plugintest.Event{Tag: "a.b", Time: plugintest.At + 1, Meta: "{}", Record: `{"n":1,"log":"x"}`}
	bare := first
	bare.Meta = "{}"
	secs, secs2 := bare, second
	secs.Time -= secs.Time % 1e9
	secs2.Time -= secs2.Time % 1e9

	sock := func() (in, out []string) {
		path := filepath.Join(t.TempDir(), "f.sock")
		return []string{"unix_path", path}, []string{"unix_path", path}
	}
	with := func(extra ...string) (in, out []string) {
		in, out = sock()
		return in, append(out, extra...)
	}
	in, out := with()
	f("plain", in, out, first, second)
	in, out = with("require_ack_response", "on")
	f("acknowledged", in, out, first, second)
	in, out = with("require_ack_response", "on", "compress", "gzip")
	f("gzip", in, out, first, second)
	in, out = with("compress", "zstd")
	f("zstd", in, out, first, second)
	in, out = with("retain_metadata_in_forward_mode", "off")
	f("without metadata", in, out, bare, second)
	in, out = with("time_as_integer", "on")
	f("whole seconds", in, out, secs, secs2)
	in, out = with("tag", "$TAG.x$nothing", "require_ack_response", "on")
	dotx, dotx2 := first, second
	dotx.Tag, dotx2.Tag = "a.b.x", "a.b.x"
	f("message by message", in, out, dotx, dotx2)
	in, out = with("shared_key", "k", "username", "u", "password", "p", "self_hostname", "client")
	f("handshake", append(in, "shared_key", "k", "security.users", "u p"), out, first, second)

	ca := netxtest.NewCA(t)
	cert, key := ca.Issue("server", "127.0.0.1")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	f("TLS", []string{"listen", "127.0.0.1", "port", port, "tls", "on", "tls.verify", "off", "tls.crt_file", cert, "tls.key_file", key, "shared_key", "k"},
		[]string{"port", port, "tls", "on", "tls.ca_file", ca.File, "tls.verify_hostname", "on", "shared_key", "k", "require_ack_response", "on"}, first, second)
}
