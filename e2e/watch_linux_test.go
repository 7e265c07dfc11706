package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// watched starts the binary with the admin API on a free port; service is
// further lines of the service section.
func watched(t *testing.T, wrap []string, service, pipeline string) *router {
	t.Helper()
	port := freePort(t)
	config := fmt.Sprintf("[SERVICE]\n    Flush 0.1\n    HTTP_Server on\n    HTTP_Listen 127.0.0.1\n    HTTP_Port %s\n%s\n%s", port, service, pipeline)
	r := launch(t, wrap, "-c", write(t, t.TempDir(), "kagari.conf", config))
	r.admin = "127.0.0.1:" + port
	r.ready()
	return r
}

// ready waits until the router has started, which the admin API tells.
func (r *router) ready() {
	r.t.Helper()
	limit := time.After(20 * time.Second)
	for r.counter("fluentbit_process_start_time_seconds") <= 0 {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-r.ended:
			r.t.Fatalf("the router ended with %v; its log:\n%s", r.err, r.log.String())
		case <-limit:
			r.t.Fatalf("the router does not start; its log:\n%s", r.log.String())
		}
	}
}

// counter adds up the numbers under a name of those metrics whose labels
// contain all the texts, such as `reason="stalled"`. It is -1 when the admin
// API does not answer.
func (r *router) counter(name string, labels ...string) float64 {
	client := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + r.admin + "/api/v2/metrics/prometheus")
	if err != nil {
		return -1
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return -1
	}
	sum := 0.0
lines:
	for line := range strings.Lines(string(b)) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(rest, l) {
				continue lines
			}
		}
		n, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			r.t.Fatalf("a metric without a number: %q", line)
		}
		sum += n
	}
	return sum
}

// rejected is how much input an instance refused, by reason.
func (r *router) rejected(instance, reason string) int {
	return int(r.counter("kagari_rejected_input_total", `name="`+instance+`"`, `reason="`+reason+`"`))
}

// status reads a line of /proc/PID/status, such as "VmHWM", without its unit.
func (r *router) status(key string) int {
	r.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		r.t.Fatalf("the router is gone: %v; its log:\n%s", err, r.log.String())
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, key+":"); ok {
			n, err := strconv.Atoi(strings.Fields(v)[0])
			if err != nil {
				r.t.Fatal(err)
			}
			return n
		}
	}
	r.t.Fatalf("no %s in the status of a process", key)
	return 0
}

// peak is the most memory that the process ever had, in MB.
func (r *router) peak() int { r.t.Helper(); return r.status("VmHWM") >> 10 }

// resident is the memory that the process has, in KB.
func (r *router) resident() int { r.t.Helper(); return r.status("VmRSS") }

// files is the number of open file descriptors.
func (r *router) files() int {
	r.t.Helper()
	all, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(r.cmd.Process.Pid), "fd"))
	if err != nil {
		r.t.Fatal(err)
	}
	return len(all)
}

// cpu is the processor time that was used, user and system.
func (r *router) cpu() time.Duration {
	r.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.cmd.Process.Pid))
	if err != nil {
		r.t.Fatalf("the router is gone: %v; its log:\n%s", err, r.log.String())
	}
	// proc(5): after the name in parentheses, utime is field 14 of 1, stime 15,
	// in ticks of a hundredth of a second.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	ticks := 0
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			r.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// stopWithin ends it with SIGTERM and fails the test unless it ends well in
// the time given.
func (r *router) stopWithin(limit time.Duration) {
	r.t.Helper()
	begin := time.Now()
	r.stop()
	if took := time.Since(begin); took > limit {
		r.t.Errorf("the end took %v, more than %v; the log:\n%s", took.Round(10*time.Millisecond), limit, r.log.String())
	}
}

// lines reads the lines of a file, none if it is not there.
func lines(file string) []string {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// holds tells whether a file contains a text.
func holds(file, text string) bool {
	b, err := os.ReadFile(file)
	return err == nil && strings.Contains(string(b), text)
}
