package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func (r *router) signal(s syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatalf("signal: %v; the log:\n%s", err, r.log.String())
	}
}

// alive fails the test if the process has ended.
func (r *router) alive() {
	r.t.Helper()
	select {
	case <-r.ended:
		r.t.Fatalf("the router ended with %v; its log:\n%s", r.err, r.log.String())
	default:
	}
}

// wantEnd waits for the end.
func (r *router) wantEnd(limit time.Duration) {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(limit):
		r.t.Fatalf("the router still runs after %v; its log:\n%s", limit, r.log.String())
	}
}

// killed tells whether it ended by a signal.
func (r *router) killed() bool {
	return r.cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
}

// tooEarly tells whether a process died of a signal before it could do anything
// about signals: it has written and computed nothing yet. Before that moment no
// program survives one.
func (r *router) tooEarly() bool {
	state := r.cmd.ProcessState
	return r.killed() && r.log.String() == "" && state.UserTime()+state.SystemTime() < 50*time.Millisecond
}

// A signal to stop that comes during the start stops the router as any other
// does, and leaves nothing behind that keeps the next one from starting.
func TestSignalsDuringTheStart(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.txt", "a line\n")
	config := write(t, dir, "kagari.conf", fmt.Sprintf("[SERVICE]\n    Flush 0.1\n    storage.path %[1]s/chunks\n    HTTP_Server on\n    HTTP_Listen 127.0.0.1\n    HTTP_Port %[2]s\n"+
		"[INPUT]\n    Name forward\n    Unix_Path %[1]s/socket\n    storage.type filesystem\n"+
		"[INPUT]\n    Name tail\n    Path %[1]s/*.txt\n    DB %[1]s/offsets.db\n    Read_from_Head on\n"+
		"[OUTPUT]\n    Name file\n    Match *\n    Format plain\n    Path %[1]s\n    File out\n", dir, freePort(t)))
	early := 0
	for wait := range 50 {
		s := []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}[wait%2]
		r := launch(t, nil, "-c", config)
		time.Sleep(time.Duration(wait) * time.Millisecond)
		_ = r.cmd.Process.Signal(s)
		r.wantEnd(2 * time.Second)
		switch {
		case r.tooEarly():
			early++
		case r.err != nil:
			t.Errorf("%v after %d ms: the router ended with %v; its log:\n%s", s, wait, r.err, r.log.String())
		}
	}
	t.Logf("%d of 50 ended before they could take a signal", early)
	if early > 40 {
		t.Errorf("%d of 50 ended before they could take a signal", early)
	}
	// SIGHUP is no signal to stop, not even then.
	for wait := range 25 {
		r := launch(t, nil, "-c", config)
		time.Sleep(time.Duration(2*wait) * time.Millisecond)
		_ = r.cmd.Process.Signal(syscall.SIGHUP)
		time.Sleep(20 * time.Millisecond)
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		r.wantEnd(2 * time.Second)
		if r.err != nil && !r.tooEarly() {
			t.Errorf("SIGHUP after %d ms: the router ended with %v; its log:\n%s", 2*wait, r.err, r.log.String())
		}
	}
	if got := lines(filepath.Join(dir, "out")); len(got) != 1 {
		t.Errorf("after all starts the output holds %q, want one line once", got)
	}
}

// stuck is a router that has a record which it cannot deliver and a long time
// to try.
func stuck(t *testing.T) *router {
	t.Helper()
	r := watched(t, nil, "    Grace 60\n", "[INPUT]\n    Name dummy\n    Samples 1\n[OUTPUT]\n    Name http\n    Match *\n    Host 127.0.0.1\n    Port "+freePort(t)+"\n    Retry_Limit no_limits\n")
	waitFor(t, "a failed attempt", func() bool { return strings.Contains(r.log.String(), "sending failed") })
	return r
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
		r := stuck(t)
		r.signal(s)
		waitFor(t, "the end to begin", func() bool { return strings.Contains(r.log.String(), "stopping") })
		time.Sleep(300 * time.Millisecond)
		r.alive()
		r.signal(syscall.SIGTERM)
		r.wantEnd(time.Second)
		if !r.killed() {
			t.Errorf("a second signal: the router ended with %v; its log:\n%s", r.err, r.log.String())
		}
	}
}

// SIGHUP does not cut the end short.
func TestSIGHUPDuringTheEnd(t *testing.T) {
	r := stuck(t)
	r.signal(syscall.SIGTERM)
	waitFor(t, "the end to begin", func() bool { return strings.Contains(r.log.String(), "stopping") })
	r.signal(syscall.SIGHUP)
	time.Sleep(300 * time.Millisecond)
	r.alive()
}

func TestSIGHUPWithoutHotReload(t *testing.T) {
	p := servePeers(t, nil, "    Grace 5", "")
	for range 3 {
		p.signal(syscall.SIGHUP)
	}
	waitFor(t, "an answer", func() bool { return strings.Contains(p.log.String(), "SIGHUP is ignored") })
	p.others()
	p.stopWithin(3 * time.Second)
}

// The router outlives those who read its log and its standard output.
func TestNobodyReadsTheLogAnyMore(t *testing.T) {
	dir := t.TempDir()
	port := freePort(t)
	config := write(t, dir, "kagari.conf", fmt.Sprintf("[SERVICE]\n    Flush 0.1\n[INPUT]\n    Name tcp\n    Listen 127.0.0.1\n    Port %s\n"+
		"[OUTPUT]\n    Name stdout\n    Match *\n[OUTPUT]\n    Name file\n    Match *\n    Format plain\n    Path %s\n    File out\n", port, dir))
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	read, written, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	attr := &os.ProcAttr{Files: []*os.File{nil, written, written}}
	proc, err := os.StartProcess(bin, []string{bin, "-c", config}, attr)
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Kill()
	written.Close()
	waitFor(t, "the tcp input", func() bool { return listening("tcp", "127.0.0.1:"+port) })
	read.Close()
	for i := range 5 {
		say(t, "127.0.0.1:"+port, "no JSON") // gives a message in the log
		say(t, "127.0.0.1:"+port, fmt.Sprintf(`{"n":%d}`, i))
		time.Sleep(150 * time.Millisecond)
	}
	waitFor(t, "all records", func() bool { return count(filepath.Join(dir, "out")) == 5 })
	if err := proc.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	state, err := proc.Wait()
	if err != nil || !state.Success() {
		t.Errorf("it ended with %v, %v", state, err)
	}
}

// reloads is how often the router says that it has reloaded.
func (r *router) reloads() int { return int(r.counter("fluentbit_hot_reloaded_times")) }

// request sends a request without a body to the admin API.
func (r *router) request(method, path string) (status int, body string) {
	r.t.Helper()
	req, err := http.NewRequest(method, "http://"+r.admin+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		r.t.Fatalf("%v; the log:\n%s", err, r.log.String())
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// A reload by signal or request puts a good configuration to work; whatever is
// wrong with a bad one, the old one stays at work and loses nothing.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	port, admin := freePort(t), freePort(t)
	good := func(file string) string {
		return fmt.Sprintf("[SERVICE]\n    Flush 0.1\n    HTTP_Server on\n    HTTP_Listen 127.0.0.1\n    HTTP_Port %s\n"+
			"[INPUT]\n    Name forward\n    Listen 127.0.0.1\n    Port %s\n[OUTPUT]\n    Name file\n    Match *\n    Format plain\n    Path %s\n    File %s\n", admin, port, dir, file)
	}
	config := write(t, dir, "kagari.conf", good("first"))
	r := launch(t, nil, "-Y", "-c", config)
	r.admin = "127.0.0.1:" + admin
	r.ready()
	n := 0
	// arrives sends a record, over the time of a reload, and waits for it.
	arrives := func(file string) {
		t.Helper()
		n++
		text := fmt.Sprintf("record %d", n)
		waitFor(t, "the forward input", func() bool { return listening("tcp", "127.0.0.1:"+port) })
		say(t, "127.0.0.1:"+port, string(message("a", "log", text)))
		waitFor(t, text+" in "+file, func() bool { return holds(filepath.Join(dir, file), `"`+text+`"`) })
	}
	arrives("first")

	write(t, dir, "kagari.conf", good("second"))
	r.signal(syscall.SIGHUP)
	waitFor(t, "the reload", func() bool { return r.reloads() == 1 })
	arrives("second")

	busy, err := http.Get("http://" + r.admin + "/")
	if err != nil {
		t.Fatal(err)
	}
	busy.Body.Close()
	other := freePort(t)
	for name, bad := range map[string]string{
		"no configuration": "[INPUT\n",
		"unknown plugin":   "[INPUT]\n    Name nonesuch\n" + good("third"),
		"unknown option":   strings.Replace(good("third"), "Name forward", "Name forward\n    No_Such_Option 1", 1),
		"a port in use":    "[INPUT]\n    Name tcp\n    Listen 127.0.0.1\n    Port " + admin + "\n" + good("third"),
		"a socket in use":  "[INPUT]\n    Name forward\n    Unix_Path " + config + "\n" + good("third"),
		"an absent folder": "[INPUT]\n    Name tail\n    Path /x\n    DB " + dir + "/none/offsets.db\n" + good("third"),
	} {
		write(t, dir, "kagari.conf", bad)
		logged := len(r.log.String())
		r.signal(syscall.SIGHUP)
		waitFor(t, "an error about "+name, func() bool { return strings.Contains(r.log.String()[logged:], "[error]") })
		arrives("second")
		if status, body := r.request("POST", "/api/v2/reload"); status == 200 && !strings.Contains(body, "done") || status != 200 && status != 400 {
			t.Errorf("%s: the answer is %d %s", name, status, body)
		}
		arrives("second")
		if got := r.reloads(); got != 1 {
			t.Errorf("%s counts as a reload: %d", name, got)
		}
	}

	write(t, dir, "kagari.conf", strings.Replace(good("third"), "[OUTPUT]", "[INPUT]\n    Name tcp\n    Listen 127.0.0.1\n    Port "+other+"\n[OUTPUT]", 1))
	if status, body := r.request("POST", "/api/v2/reload"); status != 200 || !strings.Contains(body, `"done"`) {
		t.Errorf("the answer is %d %s", status, body)
	}
	waitFor(t, "the reload", func() bool { return r.reloads() == 2 })
	arrives("third")
	if status, body := r.request("GET", "/api/v2/reload"); status != 200 || !strings.Contains(body, `"hot_reload_count":2`) {
		t.Errorf("the answer is %d %s", status, body)
	}
	if total := count(filepath.Join(dir, "first")) + count(filepath.Join(dir, "second")) + count(filepath.Join(dir, "third")); total != n {
		t.Errorf("%d records in all, want %d", total, n)
	}
	r.stopWithin(3 * time.Second)
}

// Without -Y a request to reload is refused and changes nothing.
func TestReloadMustBeAllowed(t *testing.T) {
	p := servePeers(t, nil, "    Grace 5", "")
	if status, body := p.request("POST", "/api/v2/reload"); status != 400 || !strings.Contains(body, "not enabled") {
		t.Errorf("the answer is %d %s", status, body)
	}
	p.others()
	p.stopWithin(3 * time.Second)
}
