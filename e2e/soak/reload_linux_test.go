package soak

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const reloadable = `
[SERVICE]
    Flush 0.1
    Grace 1
    scheduler.base 1
    scheduler.cap 1
    storage.path KEPT/chunks
    HTTP_Server on
    HTTP_Listen 127.0.0.1
    HTTP_Port ADMIN
    http_pprof on
[INPUT]
    Name tail
    Path DIR/a.log
    DB KEPT/offsets.db
    Read_from_Head on
    Refresh_Interval 1
[INPUT]
    Name forward
    Listen 127.0.0.1
    Port LISTEN
    storage.type filesystem
[OUTPUT]
    Name http
    Match *
    Host HOST
    Port PORT
    Format json_lines
    Retry_Limit no_limits
`

// Reloads while files grow and peers send, thirty with -soak, lose nothing, and leave no
// goroutine, file or memory behind.
func TestReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	rnd, n := random(t), kills(8, 30)
	dir := t.TempDir()
	d := newDestination(t)
	listen, admin := freePort(t), freePort(t)
	r := newRouter(t, fill(reloadable, "DIR", dir, "KEPT", t.TempDir(), "ADMIN", admin, "LISTEN", listen, "HOST", d.host(), "PORT", d.port()))
	var mu sync.Mutex
	acked := 0
	p := &peer{name: "p", address: "127.0.0.1:" + listen, acked: func(int) { mu.Lock(); acked++; mu.Unlock() }}
	w := &writer{t: t, name: "a", file: filepath.Join(dir, "a.log"), rotate: byRename, begun: func(line int) bool { return d.has("a", line) }}
	stop := make(chan struct{})
	var load sync.WaitGroup
	for i, run := range []func(*rand.Rand, <-chan struct{}){p.run, w.run} {
		rnd := rand.New(rand.NewPCG(rnd.Uint64(), uint64(i)))
		load.Go(func() { run(rnd, stop) })
	}
	stopped := sync.OnceFunc(func() { close(stop); load.Wait() })
	defer stopped()

	r.start("-Y")
	reloads := func() int {
		return number(t, r, admin, "/api/v2/metrics/prometheus", `(?m)^fluentbit_hot_reloaded_times\S* ([0-9.e+]+)`)
	}
	goroutines := func() int { return number(t, r, admin, "/debug/pprof/goroutine?debug=1", `total (\d+)`) }
	var before, after usage
	for i := range n {
		if i == 3 {
			before = use(t, r, goroutines)
		}
		for deadline := time.Now().Add(20 * time.Second); reloads() < i; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				r.giveUp("reload %d does not come", i)
			}
		}
		time.Sleep(between(rnd, 0, 150*time.Millisecond))
		if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			r.giveUp("signal: %v", err)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); reloads() < n; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.giveUp("the last reload does not come")
		}
	}
	after = use(t, r, goroutines)
	stopped()
	complete := func() bool {
		return len(d.missing("a", int(w.written.Load()))) == 0
	}
	if !d.wait(10*time.Second, complete) {
		r.giveUp("of %d lines there are missing %v", w.written.Load(), d.missing("a", int(w.written.Load())))
	}
	lost := d.missing("p", int(p.sent.Load()))
	if len(lost) > len(p.unsure) {
		t.Errorf("of %d records that were sent there are missing %v, and %d messages are not acknowledged", p.sent.Load(), lost, len(p.unsure))
	}
	r.stop()
	t.Logf("%d reloads: %d lines and %d records, %d of those acknowledged; %d came again, %d of them as the destination gave no answer",
		n, w.written.Load(), p.sent.Load(), acked, d.again(), d.unanswered)
	t.Logf("after 3 reloads %+v, after all %+v", before, after)
	if after.goroutines > before.goroutines+10 || after.files > before.files+10 || after.resident > before.resident+16<<10 {
		t.Errorf("something is left behind: after 3 reloads %+v, after all %+v", before, after)
	}
}

// usage is what a process uses; resident is its memory in KB.
type usage struct{ goroutines, files, resident int }

// use measures the least of a few moments, as requests are under way.
func use(t *testing.T, r *router, goroutines func() int) (least usage) {
	t.Helper()
	for i := range 5 {
		time.Sleep(50 * time.Millisecond)
		proc := fmt.Sprintf("/proc/%d/", r.cmd.Process.Pid)
		files, err := os.ReadDir(proc + "fd")
		if err != nil {
			t.Fatal(err)
		}
		status, err := os.ReadFile(proc + "status")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		kb, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			t.Fatal(err)
		}
		now := usage{goroutines(), len(files), kb}
		for deadline := time.Now().Add(20 * time.Second); now.goroutines < 0 && time.Now().Before(deadline); now.goroutines = goroutines() {
			time.Sleep(10 * time.Millisecond)
		}
		if i == 0 {
			least = now
		}
		least = usage{min(least.goroutines, now.goroutines), min(least.files, now.files), min(least.resident, now.resident)}
	}
	return least
}

// number finds a number on a page of the admin API, which is away for a moment
// now and then; it is -1 then.
func number(t *testing.T, r *router, port, path, pattern string) int {
	t.Helper()
	select {
	case <-r.ended:
		r.giveUp("the router ended by itself with %v", r.err)
	default:
	}
	client := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://127.0.0.1:" + port + path)
	if err != nil {
		return -1
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	m := regexp.MustCompile(pattern).FindSubmatch(b)
	if err != nil || m == nil {
		return -1
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}
