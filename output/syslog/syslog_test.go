package syslog

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kagarilog/kagari/internal/netx/netxtest"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// allKeys name a key for every part.
var allKeys = []string{"syslog_message_key", "log", "syslog_hostname_key", "h", "syslog_appname_key", "app", "syslog_procid_key", "pid",
	"syslog_msgid_key", "mid", "syslog_severity_key", "sev", "syslog_facility_key", "fac", "syslog_sd_key", "sd", "syslog_sd_key", "sd2"}

func formatter(t testing.TB, env *plugin.Env, kv ...string) func(record string) string {
	t.Helper()
	out, err := plugintest.TryOutput(Def(), env, kv...)
	if err != nil {
		t.Fatal(err)
	}
	o := out.(*Output)
	return func(record string) string {
		var m fields
		return string(o.format.append(nil, &m, plugintest.At, plugintest.Value(t, record)))
	}
}

func TestRFC5424(t *testing.T) {
	format := formatter(t, plugintest.Env(t), allKeys...)
	f := func(record, want string) {
		t.Helper()
		if got := format(record); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", record, got, want)
		}
	}
	const at = "1 2023-11-14T22:13:20.250000Z "
	f(`{"log":"hello","h":"host1","app":"web","pid":"12","mid":"M1","sev":3,"fac":4,"sd":{"a":"1","b":"quo\"te]\\"}}`,
		"<35>"+at+`host1 web 12 M1 [sd a="1" b="quo\"te\]\\"] `+"\ufeffhello")
	f(`{"log":"no header"}`, "<14>"+at+"- - - - - \ufeffno header")
	f(`{"other":"no message"}`, "<14>"+at+"- - - - -")
	f(`{"log":""}`, "<14>"+at+"- - - - - \ufeff")
	f(`{"log":"m","h":"host 2","app":"`+strings.Repeat("x", 60)+`","mid":"`+strings.Repeat("y", 40)+`"}`,
		"<14>"+at+"host 2 "+strings.Repeat("x", 48)+" - "+strings.Repeat("y", 32)+" - \ufeffm")
	f(`{"log":5,"pid":12,"h":true,"app":1.5}`, "<14>"+at+"true 1.500000 12 - - \ufeff5")
	f(`{"log":[1],"h":null,"app":{"a":1}}`, "<14>"+at+"- - - - -")
	f(`{"sev":"ERR","fac":"local7"}`, "<187>"+at+"- - - - -")
	f(`{"sev":"7","fac":"09"}`, "<79>"+at+"- - - - -")
	f(`{"sev":8,"fac":24}`, "<14>"+at+"- - - - -")
	f(`{"sev":"bad","fac":"bad"}`, "<14>"+at+"- - - - -")
	f(`{"log":"first","log":"second"}`, "<14>"+at+"- - - - - \ufefffirst")
	f(`{"log":"<13>complete"}`, "<13>complete")
	f(`{"sd2":{"k=]\" k":1,"`+strings.Repeat("n", 40)+`":true,"nil":null,"f":-1},"sd":{}}`,
		"<14>"+at+`- - - - [sd2 k____k="1" `+strings.Repeat("n", 32)+`="true" f="-1"][sd]`)
}

func TestPresetsAndLongNames(t *testing.T) {
	env, log := plugintest.LoggedEnv(t)
	format := formatter(t, env, append(allKeys, "syslog_hostname_preset", "H", "syslog_appname_preset", "A", "syslog_procid_preset", "P",
		"syslog_msgid_preset", "M", "syslog_severity_preset", "5", "syslog_facility_preset", "16", "allow_longer_sd_id", "on")...)
	const at = "1 2023-11-14T22:13:20.250000Z "
	long := strings.Repeat("n", 40)
	if got, want := format(`{"log":"x","h":"","sd":{"`+long+`":1}}`), "<133>"+at+" A P M [sd "+long+"=\"1\"] \ufeffx"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	formatter(t, env)
	if !strings.Contains(log.String(), "syslog_message_key is not given") {
		t.Error("nothing warns of empty messages")
	}
}

func TestRFC3164(t *testing.T) {
	format := formatter(t, plugintest.Env(t), append(allKeys, "syslog_format", "RFC3164", "syslog_severity_preset", "5", "syslog_facility_preset", "16")...)
	f := func(record, want string) {
		t.Helper()
		if got := format(record); got != want {
			t.Errorf("%s: got %q, want %q", record, got, want)
		}
	}
	f(`{"log":"hello","h":"host1","app":"web","pid":"12"}`, "<133>Nov 14 22:13:20 host1 web[12]: hello")
	f(`{"log":"hello","app":"web"}`, "<133>Nov 14 22:13:20 web: hello")
	f(`{"log":"hello","pid":"12"}`, "<133>Nov 14 22:13:20 hello")
	f(`{"x":1}`, "<133>Nov 14 22:13:20 ")
}

func TestLongMessagesAreCutAndCounted(t *testing.T) {
	f := func(limit int, want string, kv ...string) {
		t.Helper()
		env := plugintest.Env(t)
		got := formatter(t, env, append([]string{"syslog_message_key", "log"}, kv...)...)(`{"log":"<` + strings.Repeat("ä", 2000) + `"}`)
		if len(got) > limit || len(got) < limit-1 || !utf8.ValidString(got) {
			t.Errorf("%q: got %d bytes, want %d", kv, len(got), limit)
		}
		if n := plugintest.Counters(env)["kagari_truncated_messages_total"]; n != 1 {
			t.Errorf("%d were counted", n)
		}
	}
	f(2048, "")
	f(1024, "", "syslog_format", "rfc3164")
	f(100, "", "syslog_maxsize", "100")
	f(1000, "", "syslog_maxsize", "1K")
}

func TestOptions(t *testing.T) {
	plugintest.Definition(t, Def())
	f := func(want string, kv ...string) {
		t.Helper()
		_, err := plugintest.TryOutput(Def(), plugintest.Env(t), kv...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", kv, err, want)
		}
	}
	f("not supported", "mode", "dtls")
	f("udp, tcp, tls", "mode", "sctp")
	f("not with udp", "tls", "on")
	f("between 0 and 7", "syslog_severity_preset", "8")
	f("between 0 and 23", "syslog_facility_preset", "-1")
	f("rfc5424, rfc3164", "syslog_format", "cef")
}

// sink keeps what is sent to it, a stream as one piece or datagrams.
type sink struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grams []string
	addr  string
}

func (s *sink) add(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	s.grams = append(s.grams, string(p))
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *sink) props(kv ...string) []string {
	host, port, _ := net.SplitHostPort(s.addr)
	return append([]string{"host", host, "port", port, "syslog_message_key", "log"}, kv...)
}

func stream(t testing.TB, l net.Listener) *sink {
	s := &sink{addr: l.Addr().String()}
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			all.Go(func() {
				buf := make([]byte, 4096)
				for {
					n, err := c.Read(buf)
					s.add(buf[:n])
					if err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return s
}

func datagrams(t testing.TB) *sink {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{addr: conn.LocalAddr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			s.add(buf[:n])
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return s
}

func listenTCP(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestContract(t *testing.T) {
	for _, mode := range []string{"udp", "tcp", "tls"} {
		t.Run(mode, func(t *testing.T) {
			var behaviours []plugintest.Behaviour
			if mode == "tcp" {
				behaviours = append(behaviours, plugintest.Transient)
			}
			plugintest.Output(t, plugintest.OutputSuite{
				Def: Def(), Behaviours: behaviours, Twice: true,
				Open: func(t *testing.T, b plugintest.Behaviour) plugintest.Destination {
					if mode == "udp" {
						s := datagrams(t)
						return plugintest.Destination{Props: s.props(), Delivered: s.String}
					}
					l := listenTCP(t)
					kv := []string{"mode", mode}
					if mode == "tls" {
						ca := netxtest.NewCA(t)
						l = tls.NewListener(l, ca.Server())
						kv = append(kv, "tls.ca_file", ca.File)
					}
					if b != plugintest.Transient {
						s := stream(t, l)
						return plugintest.Destination{Props: s.props(kv...), Delivered: s.String}
					}
					addr := l.Addr().String()
					l.Close()
					s := &sink{addr: addr}
					return plugintest.Destination{Props: s.props(kv...), Delivered: func() string { return s.String() }, Heal: func() {
						l, err := net.Listen("tcp", addr)
						if err != nil {
							t.Fatal(err)
						}
						s = stream(t, l)
					}}
				},
			})
		})
	}
}

func TestFraming(t *testing.T) {
	f := func(want string, kv ...string) {
		t.Helper()
		s := stream(t, listenTCP(t))
		out := plugintest.NewOutput(t, Def(), plugintest.Env(t), s.props(append(kv, "mode", "tcp")...)...)
		c := plugintest.Chunk(t, "t", `{"log":"<1>one"}`, `{"log":"<1>two\nlines"}`)
		defer c.Release()
		if err := out.Send(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(plugintest.Patience); s.String() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("got %q, want %q", s.String(), want)
			}
		}
	}
	f("<1>one\n<1>two\nlines\n")
	f("6 <1>one12 <1>two\nlines", "syslog_framing", "octet_counting")
}

func TestDatagramsAreSentOneByOne(t *testing.T) {
	s := datagrams(t)
	out := plugintest.NewOutput(t, Def(), plugintest.Env(t), s.props("syslog_maxsize", "70000")...)
	c := plugintest.Chunk(t, "t", `{"log":"<1>one"}`, fmt.Sprintf(`{"log":"<%s"}`, strings.Repeat("x", 66_000)), `{"log":"<1>two"}`)
	defer c.Release()
	var part *plugin.PartialError
	if err := out.Send(t.Context(), c); !errors.As(err, &part) || !slices.Equal(part.Rejected, []int{1}) || len(part.Retry) > 0 {
		t.Errorf("got %v", err)
	}
	for end := time.Now().Add(plugintest.Patience); s.String() != "<1>one<1>two"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("got %q", s.String())
		}
	}
	if !slices.Equal(s.grams, []string{"<1>one", "<1>two"}) {
		t.Errorf("got %q", s.grams)
	}
	dead := plugintest.NewOutput(t, Def(), plugintest.Env(t), "host", "no.such.host.invalid", "syslog_message_key", "log")
	if err := dead.Send(t.Context(), c); err == nil || errors.As(err, &part) {
		t.Errorf("a host that is not there: %v", err)
	}
}

func TestFormattingDoesNotAllocate(t *testing.T) {
	env := plugintest.Env(t)
	env.Log = slog.New(slog.DiscardHandler)
	for _, rfc := range []string{rfc5424, rfc3164} {
		out, err := plugintest.TryOutput(Def(), env, append(allKeys, "syslog_format", rfc)...)
		if err != nil {
			t.Fatal(err)
		}
		o := out.(*Output)
		rec := plugintest.Value(t, `{"log":"hello","h":"host1","app":"web","pid":12,"mid":"M1","sev":"err","fac":4,"sd":{"a":"1","b":2},"other":1}`)
		var m fields
		buf := make([]byte, 0, 4096)
		buf = o.format.append(buf[:0], &m, plugintest.At, rec)
		if n := testing.AllocsPerRun(100, func() { buf = o.format.append(buf[:0], &m, plugintest.At, rec) }); n > 0 {
			t.Errorf("%s: %v allocations for a message", rfc, n)
		}
	}
}

func FuzzFormat(f *testing.F) {
	f.Add(`{"log":"hello","h":"host1","sev":3,"sd":{"a":"1"}}`, 20)
	f.Add(`{"log":"<ä"}`, 2)
	env := plugintest.Env(f)
	env.Log = slog.New(slog.DiscardHandler)
	out, err := plugintest.TryOutput(Def(), env, allKeys...)
	if err != nil {
		f.Fatal(err)
	}
	o := out.(*Output)
	f.Fuzz(func(t *testing.T, record string, limit int) {
		if limit < 1 {
			return
		}
		format := o.format
		format.limit = limit
		var m fields
		if got := format.append(nil, &m, plugintest.At, []byte(record)); len(got) > limit {
			t.Errorf("%d bytes are more than %d", len(got), limit)
		}
	})
}
