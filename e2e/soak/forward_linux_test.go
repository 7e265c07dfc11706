package soak

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

const takeMessages = `
[SERVICE]
    Flush 0.1
    Grace 3
    scheduler.base 1
    scheduler.cap 1
    STORAGE
[INPUT]
    Name INPUT_NAME
    OPTION
    Listen 127.0.0.1
    Port LISTEN
    storage.type TYPE
[OUTPUT]
    Name http
    Match *
    Host HOST
    Port PORT
    Format json_lines
    Retry_Limit no_limits
`

// What a forward peer, or one over HTTP with wait_ack, was told to be taken arrives, however often the router is
// killed: with storage in the file system from there, with storage in memory it
// has arrived before.
func TestKillsWhilePeersWaitForAcks(t *testing.T) {
	forward := []string{"INPUT_NAME", "forward", "OPTION", ""}
	http := []string{"INPUT_NAME", "http", "OPTION", "wait_ack on"}
	f := func(name string, n int, stored bool, pairs []string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if stored {
				pairs = append(pairs, "STORAGE", "storage.path "+t.TempDir(), "TYPE", "filesystem")
			} else {
				pairs = append(pairs, "STORAGE", "", "TYPE", "memory")
			}
			sendAndKill(t, n, stored, func(r *router) { r.kill() }, pairs...)
		})
	}
	f("forward, memory", kills(6, 100), false, forward)
	f("forward, filesystem", kills(6, 100), true, forward)
	f("http, memory", kills(2, 100), false, http)
	f("http, filesystem", kills(2, 100), true, http)
}

// sendAndKill runs the peers, kills the router n times by end, and checks that
// everything that was acknowledged has arrived; unless it is stored, at the very
// moment of the acknowledgement.
func sendAndKill(t *testing.T, n int, stored bool, end func(*router), pairs ...string) {
	rnd := random(t)
	d := newDestination(t)
	port := freePort(t)
	r := newRouter(t, fill(takeMessages, append(pairs, "LISTEN", port, "HOST", d.host(), "PORT", d.port())...))

	var mu sync.Mutex
	acked := map[string][]int{}
	early := map[string][]int{}
	count := func(m map[string][]int) (n int) {
		for _, all := range m {
			n += len(all)
		}
		return n
	}
	var peers []*peer
	names, posts := []string{"p", "q"}, slices.Contains(pairs, "http")
	if posts { // which have one message under way each
		names = []string{"p", "q", "r", "s", "u", "v"}
	}
	for _, name := range names {
		peers = append(peers, &peer{name: name, posts: posts, address: "127.0.0.1:" + port, acked: func(i int) {
			mu.Lock()
			defer mu.Unlock()
			acked[name] = append(acked[name], i)
			if !d.has(name, i) {
				early[name] = append(early[name], i)
			}
		}})
	}
	stop := make(chan struct{})
	var sending sync.WaitGroup
	for i, p := range peers {
		rnd := rand.New(rand.NewPCG(rnd.Uint64(), uint64(i)))
		sending.Go(func() { p.run(rnd, stop) })
	}
	stopped := sync.OnceFunc(func() { close(stop); sending.Wait() })
	defer stopped()

	begin := time.Now()
	for range n {
		// What is stored waits for a destination that is away at times.
		d.down.Store(stored && rnd.IntN(2) == 0)
		r.start()
		time.Sleep(between(rnd, 0, longestRun))
		end(r)
	}
	took := time.Since(begin)
	stopped()
	d.down.Store(false)
	r.start()

	missing := func() (out []int, name string) {
		for _, p := range peers {
			for _, i := range acked[p.name] {
				if !d.has(p.name, i) {
					out, name = append(out, i), p.name
				}
			}
		}
		return out, name
	}
	if !d.wait(10*time.Second, func() bool { out, _ := missing(); return len(out) == 0 }) {
		out, name := missing()
		r.giveUp("%d records of %s were acknowledged and are lost: %d…", len(out), name, out[:min(20, len(out))])
	}
	r.stop()
	if n := count(early); n > 0 && !stored {
		t.Errorf("%d records were acknowledged before they had arrived: %v", n, early)
	}
	sent, messages, resent := 0, 0, 0
	for _, p := range peers {
		sent += int(p.sent.Load())
		messages += int(p.messages.Load())
		resent += int(p.resent.Load())
	}
	t.Logf("%d kills in %v: %d records in %d messages, %d acknowledged, %d of them before they had arrived; %d messages were sent again, %d records came again",
		n, took.Round(time.Second), sent, messages, count(acked), count(early), resent, d.again())
	if count(acked) < sent/2 {
		t.Errorf("only %d of %d records were acknowledged", count(acked), sent)
	}
	for _, line := range d.bad {
		t.Errorf("this was never sent: %.300q", line)
	}
}
