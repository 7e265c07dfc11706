package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// picky is a destination that refuses every request with "bad" in it, while it
// is.
type picky struct {
	*httptest.Server
	mu     sync.Mutex
	refuse bool
	seen   map[string]int
}

var lineName = regexp.MustCompile(`line \d+ (good|bad)`)

func newPicky(t *testing.T) *picky {
	p := &picky{refuse: true, seen: map[string]int{}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		p.mu.Lock()
		defer p.mu.Unlock()
		if err != nil || p.refuse && strings.Contains(string(body), "bad") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for _, name := range lineName.FindAllString(string(body), -1) {
			p.seen[name]++
		}
	}))
	t.Cleanup(p.Close)
	return p
}

// got is how many different lines have arrived.
func (p *picky) got() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen)
}

// output is the section of an output that sends to it.
func (p *picky) output(t *testing.T) string {
	t.Helper()
	host, port, err := net.SplitHostPort(p.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("[OUTPUT]\n    Name http\n    Match *\n    Host %s\n    Port %s\n    Format json_lines\n", host, port)
}

// letters returns the lines in the dead letters, and fails on text that is no
// whole letter, of which each kill may leave one.
func letters(t *testing.T, dir string, kills int) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	found, torn := map[string]bool{}, 0
	for _, f := range files {
		for _, line := range lines(f) {
			name := lineName.FindString(line)
			if !strings.HasPrefix(line, `{"time":"`) || !strings.HasSuffix(line, `"}}`) {
				torn++
				continue
			}
			found[name] = true
		}
	}
	if torn > kills {
		t.Errorf("%d lines are no letters after %d kills", torn, kills)
	}
	return found
}

// A record is delivered or a letter, whenever the router is killed; a replay
// delivers the letters.
func TestKillsWhileDeadLettersAreWritten(t *testing.T) {
	const count = 3000
	dir := t.TempDir()
	p := newPicky(t)
	config := fmt.Sprintf(`[SERVICE]
    Flush                 0.05
    Log_Level             error
    storage.path          %[1]s/buffer
    storage.keep.rejected on
[INPUT]
    Name           tail
    Path           %[1]s/a.log
    DB             %[1]s/pos.db
    Read_From_Head on
`, dir) + p.output(t)
	file, err := os.Create(filepath.Join(dir, "a.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rejected := filepath.Join(dir, "buffer", "rejected")
	written := 0
	more := func(n int) {
		t.Helper()
		var b strings.Builder
		for range n {
			kind := "good"
			if written%150 == 7 {
				kind = "bad"
			}
			fmt.Fprintf(&b, "line %d %s\n", written, kind)
			written++
		}
		if _, err := file.WriteString(b.String()); err != nil {
			t.Fatal(err)
		}
	}
	kills := 0
	for ; written < count; kills++ {
		r := start(t, config)
		for range 10 {
			more(count / 40)
			time.Sleep(time.Duration(10+13*kills) * time.Millisecond)
		}
		if err := r.cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-r.ended
	}
	r := start(t, config)
	waitFor(t, "every line", func() bool { return p.got()+len(letters(t, rejected, kills)) == count })
	_ = r.cmd.Process.Kill()
	<-r.ended
	kills++
	for name := range letters(t, rejected, kills) {
		if !strings.HasSuffix(name, "bad") {
			t.Errorf("a letter of %s", name)
		}
	}

	p.mu.Lock()
	p.refuse = false
	p.mu.Unlock()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(bin, "replay", "-c", write(t, dir, "kagari.conf", config), rejected).CombinedOutput()
	// A line that a kill has cut is told, and its record came again.
	if err != nil && !strings.Contains(string(out), "not readable") || p.got() != count {
		t.Errorf("%d of %d lines have arrived, %v:\n%s", p.got(), count, err, out)
	}
}

// Letters that do not fit are counted as dropped, and those that do are whole.
func TestDeadLettersOnAFullDisk(t *testing.T) {
	disk := smallDisk(t, 200<<10)
	p := newPicky(t)
	port := freePort(t)
	r := watched(t, nil, "    storage.path "+disk+"/buffer\n    storage.keep.rejected on\n",
		"[INPUT]\n    Name tcp\n    Listen 127.0.0.1\n    Port "+port+"\n    Format none\n"+p.output(t))
	waitFor(t, "the input", func() bool { return listening("tcp", "127.0.0.1:"+port) })
	c := dial(t, "127.0.0.1:"+port)
	sent := 0
	send := func(kind string) {
		t.Helper()
		if _, err := fmt.Fprintf(c, "line %d %s\n", sent, kind); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	rejected := filepath.Join(disk, "buffer", "rejected")
	send("bad")
	waitFor(t, "the first letter", func() bool { return len(letters(t, rejected, 0)) == 1 })
	free := fillUp(t, disk)
	const lost = `kagari_dropped_events_total`
	for n := 0; r.counter(lost, `reason="refused"`) < 3; n++ {
		if n > 300 {
			t.Fatalf("nothing is counted as dropped; the log:\n%s", r.log.String())
		}
		send("bad")
		time.Sleep(30 * time.Millisecond)
	}
	if !strings.Contains(r.log.String(), "no space left on device") {
		t.Errorf("the log does not say why:\n%s", r.log.String())
	}
	free()
	before := len(letters(t, rejected, 0))
	send("bad")
	waitFor(t, "letters afterwards", func() bool { return len(letters(t, rejected, 0)) > before })
	send("good")
	waitFor(t, "the good line", func() bool { return p.got() == 1 })
	dropped := int(r.counter(lost, `reason="refused"`))
	if kept := len(letters(t, rejected, 0)); kept+dropped+1 != sent {
		t.Errorf("%d lines were sent, %d kept, %d dropped and 1 delivered", sent, kept, dropped)
	}
	r.stopWithin(3 * time.Second)
}
