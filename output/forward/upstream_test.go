package forward

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// section makes a section of alternating keys and values.
func section(name string, keysAndValues ...string) plugin.Section {
	return plugin.Section{Name: name, Props: plugintest.Props(keysAndValues...), Pos: option.Pos{File: "up.conf", Line: 3}}
}

// upstream makes an output with an upstream file of these sections.
func upstream(t testing.TB, sections []plugin.Section, keysAndValues ...string) (plugin.Output, *plugintest.Log, error) {
	t.Helper()
	env, log := plugintest.LoggedEnv(t)
	env.Sections = func(path string) ([]plugin.Section, error) {
		if path != "up.conf" {
			return nil, fmt.Errorf("no file %q", path)
		}
		return sections, nil
	}
	out, err := plugintest.TryOutput(Def(), env, append([]string{"upstream", "up.conf"}, keysAndValues...)...)
	if err != nil {
		return nil, log, err
	}
	t.Cleanup(func() { out.(*Output).Close() })
	if err := out.(plugin.Starter).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out, log, nil
}

func nodeSection(s *server, keysAndValues ...string) plugin.Section {
	return section("NODE", append([]string{"name", "n" + s.port(), "host", "127.0.0.1", "port", s.port()}, keysAndValues...)...)
}

func TestNodesTakeTurns(t *testing.T) {
	plugintest.NoLeaks(t)
	a, b := newServer(t, "").start(), newServer(t, "").start()
	out, _, err := upstream(t, []plugin.Section{section("UPSTREAM", "name", "pair"),
		nodeSection(a, "require_ack_response", "on"), nodeSection(b, "require_ack_response", "on")})
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		send(t, out, chunk(t))
	}
	if len(a.got()) != 2 || len(b.got()) != 2 {
		t.Errorf("%d and %d chunks", len(a.got()), len(b.got()))
	}
}

func TestEveryNodeHasItsOwnOptions(t *testing.T) {
	a, b := newServer(t, "").start(), newServer(t, "")
	b.key = "k"
	b.start()
	out, log, err := upstream(t, []plugin.Section{section("upstream", "name", "pair"),
		nodeSection(a, "retain_metadata_in_forward_mode", "on", "tag", "for.a"),
		nodeSection(b, "shared_key", "k", "require_ack_response", "on", "time_as_integer", "on", "colour", "red")},
		"tag", "not.used", "compress", "gzip")
	if err != nil {
		t.Fatal(err)
	}
	send(t, out, chunk(t))
	send(t, out, chunk(t))
	a.wait(1)
	if got, want := a.show(), "[for.a "+withMeta+"]\n"; got != want {
		t.Errorf("the first got %s, want %s", got, want)
	}
	if got, want := b.show(), "[app.web.one "+whole+" {chunk:ID size:3 fluent_signal:0}]\n"; got != want {
		t.Errorf("the second got %s, want %s", got, want)
	}
	for _, want := range []string{"option=colour", "option=tag", "option=compress", "metadata that is not sent"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no warning about %s", want)
		}
	}
}

func TestNodesGetNoMetadataByDefault(t *testing.T) {
	a := newServer(t, "").start()
	out, _, err := upstream(t, []plugin.Section{section("UPSTREAM", "name", "one"), nodeSection(a)})
	if err != nil {
		t.Fatal(err)
	}
	send(t, out, chunk(t))
	a.wait(1)
	if got, want := a.show(), "[app.web.one "+noMeta+"]\n"; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
}

func TestAFailingNodeIsLeftAlone(t *testing.T) {
	dead := newServer(t, "")
	dead.stop()
	good := newServer(t, "").start()
	out, log, err := upstream(t, []plugin.Section{section("UPSTREAM", "name", "pair"),
		nodeSection(dead, "require_ack_response", "on"), nodeSection(good, "require_ack_response", "on")})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		send(t, out, chunk(t))
	}
	if n := len(good.got()); n != 5 {
		t.Errorf("%d chunks", n)
	}
	if n := strings.Count(log.String(), "a node failed"); n != 1 {
		t.Errorf("the dead node was tried %d times", n)
	}
}

func TestAllNodesDead(t *testing.T) {
	a, b := newServer(t, ""), newServer(t, "")
	var alive atomic.Bool
	for _, s := range []*server{a, b} {
		s.key = "k"
		s.accepted = func(net.Conn, int) bool { return alive.Load() }
		s.start()
	}
	out, _, err := upstream(t, []plugin.Section{section("UPSTREAM", "name", "pair"),
		nodeSection(a, "shared_key", "k", "require_ack_response", "on"), nodeSection(b, "shared_key", "k", "require_ack_response", "on")})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := out.Send(t.Context(), chunk(t)); err == nil {
			t.Errorf("attempt %d succeeded", i)
		}
	}
	alive.Store(true)
	send(t, out, chunk(t)) // both still rest, but one is tried
	if n := len(a.got()) + len(b.got()); n != 1 {
		t.Errorf("%d chunks", n)
	}
}

func TestChunkThatMayHaveArrivedIsNotSentElsewhereAtOnce(t *testing.T) {
	a, b := newServer(t, ""), newServer(t, "").start()
	a.answer = func(int, string) []byte { return nil }
	a.start()
	out, _, err := upstream(t, []plugin.Section{section("UPSTREAM", "name", "pair"),
		nodeSection(a, "require_ack_response", "on"), nodeSection(b, "require_ack_response", "on")})
	if err != nil {
		t.Fatal(err)
	}
	c := chunk(t)
	if err := out.Send(t.Context(), c); err == nil {
		t.Fatal("a chunk without acknowledgement counts as delivered")
	}
	if n := len(b.got()); n != 0 {
		t.Errorf("%d chunks were sent elsewhere", n)
	}
	send(t, out, c) // the engine's retry
	if n := len(b.got()); n != 1 {
		t.Errorf("%d chunks after the retry", n)
	}
}

func TestBalancer(t *testing.T) {
	now := time.Unix(1700000000, 0)
	make := func(weights ...int) *balancer {
		var nodes []*node
		for i, w := range weights {
			nodes = append(nodes, &node{name: string(rune('a' + i)), weight: w})
		}
		return newBalancer(nodes)
	}
	turns := func(b *balancer, n int) string {
		var s strings.Builder
		for range n {
			s.WriteString(b.pick(now, nil).node.name)
		}
		return s.String()
	}
	for _, c := range []struct {
		weights []int
		want    string
	}{
		{[]int{1, 1}, "abab"},
		{[]int{1, 1, 1}, "abcabc"},
		{[]int{3, 1}, "aabaaaba"},
		{[]int{5, 1, 1}, "aabacaa"},
		{[]int{1, 0}, "aaaa"},
		{[]int{0, 0}, "aaaa"},
	} {
		if got := turns(make(c.weights...), len(c.want)); got != c.want {
			t.Errorf("weights %v: %s, want %s", c.weights, got, c.want)
		}
	}

	b := make(1, 1, 0)
	first := b.pick(now, nil)
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if rest := b.failed(first, now); rest != want*time.Second {
			t.Errorf("failure %d: rests %v, want %v", i, rest, want*time.Second)
		}
		now = first.until
	}
	b.failed(first, now)
	if got := turns(b, 3); got != "bbb" {
		t.Errorf("while a rests: %s", got)
	}
	b.failed(b.nodes[1], now)
	if got := turns(b, 2); got != "cc" {
		t.Errorf("while a and b rest: %s", got)
	}
	b.failed(b.nodes[2], now)
	b.failed(b.nodes[2], now) // another worker at the same time
	if s := b.pick(now, nil); s != b.nodes[1] && s != b.nodes[2] {
		t.Errorf("while all rest: %s", s.node.name)
	}
	if s := b.pick(now, b.nodes[1:2]); s != nil {
		t.Errorf("a second one is tried while all rest: %s", s.node.name)
	}
	now = now.Add(restMost)
	b.ok(first)
	if rest := b.failed(first, now); rest != restFirst {
		t.Errorf("after a success: rests %v", rest)
	}
}

func TestBadUpstreamFilesAreRefused(t *testing.T) {
	up := section("UPSTREAM", "name", "x")
	node := section("NODE", "name", "a", "host", "h", "port", "1")
	f := func(sections []plugin.Section, wants ...string) {
		t.Helper()
		_, _, err := upstream(t, sections)
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
		}
	}
	f(nil, "no section [UPSTREAM]", `"up.conf"`)
	f([]plugin.Section{node}, "no section [UPSTREAM]")
	f([]plugin.Section{up}, "no nodes")
	f([]plugin.Section{section("UPSTREAM"), node}, "no name", "up.conf:3")
	// All problems at once, with their places.
	f([]plugin.Section{up, section("NODE", "host", "h", "port", "1"), section("NODE", "name", "b", "port", "1"), section("NODE", "name", "c", "host", "h")},
		`"name" is missing`, `"host" is missing`, `"port" is missing`, "up.conf:3")
	f([]plugin.Section{up, node, section("NODE", "name", "b", "host", "h", "port", "99999")}, "port 99999", `node "b"`)
	f([]plugin.Section{up, section("NODE", "name", "b", "host", "h", "port", "1", "weight", "-1")}, "weight -1")
	f([]plugin.Section{up, section("NODE", "name", "b", "host", "h", "port", "1", "compress", "gzip", "time_as_integer", "on")}, "time_as_integer")
	f([]plugin.Section{up, section("NODE", "name", "b", "host", "h", "port", "1", "username", "u")}, "without shared_key")
}
