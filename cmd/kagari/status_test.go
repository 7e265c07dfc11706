//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kagarilog/kagari/admin"
)

// troubledRouter starts a router with an output whose destination is away and
// an input that no output takes, and returns the address of its API.
func troubledRouter(t *testing.T) (p *process, address string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "k.conf")
	const conf = `[SERVICE]
    flush          0.1
    grace          0.1
    HTTP_Server    on
    HTTP_Listen    127.0.0.1
    HTTP_Port      0
    ready_max_age  0.5
[INPUT]
    Name  dummy
    Alias web
    Rate  50
    Tag   a
[INPUT]
    Name  dummy
    Rate  50
    Tag   nowhere
[FILTER]
    Name  modify
    Match a
    Add   b c
[OUTPUT]
    Name        http
    Alias       archive
    Match       a
    Host        127.0.0.1
    Port        1
    Retry_Limit no_limits
[OUTPUT]
    Name  null
    Match a
`
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	p = start(t, "-c", file)
	return p, p.await(`listening address=(\S+)`)[1]
}

// ended runs a command to its end.
func ended(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := exec.Command("kagari", args...)
	cmd.Env = append(os.Environ(), "COLUMNS=80")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("kagari %s: %v\n%s", strings.Join(args, " "), err, errOut.String())
	}
	return out.String(), errOut.String()
}

// get returns the answer to a request.
func get(t *testing.T, url string) (code int, body string) {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

func TestStatusTellsWhatIsWrong(t *testing.T) {
	p, address := troubledRouter(t)
	var body string
	eventually(t, "not ready", func() bool {
		var code int
		code, body = get(t, "http://"+address+"/api/v1/ready")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "has waited")
	})
	for _, part := range []string{`"status":"not_ready"`, `output archive: its oldest event has waited`, `{"name":"archive","ready":false,"oldest_event_seconds":`, `connection refused`, `{"name":"null.1","ready":true`} {
		if !strings.Contains(body, part) {
			t.Errorf("the readiness does not say %s:\n%s", part, body)
		}
	}

	check := exec.Command("kagari", "status", "--check", "-u", address)
	if out, err := check.CombinedOutput(); err == nil || check.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(out), "not ready: output archive") {
		t.Errorf("--check: %v %s", err, out)
	}

	text, _ := ended(t, "status", "-u", address)
	for _, part := range []string{"running", "not ready: output archive: its oldest event has waited", "web (dummy)", "dummy.1", "modify.0", "archive (http)",
		"s ago: POST http://127.0.0.1:1/", "LOST OR REFUSED", "no output matches"} {
		if !strings.Contains(text, part) {
			t.Errorf("the status does not say %q:\n%s", part, text)
		}
	}

	text, _ = ended(t, "status", "-u", "http://"+address, "-o", "json", "-i", "300ms")
	var st admin.Status
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		t.Fatal(err)
	}
	if len(st.Inputs) != 2 || st.Inputs[0].RecordsPerSecond == nil || *st.Inputs[0].RecordsPerSecond <= 0 || st.Inputs[0].Plugin != "dummy" {
		t.Errorf("inputs: %+v", st.Inputs)
	}
	if o := st.Outputs[0]; o.Name != "archive" || o.Backlog.Chunks == 0 || o.Backlog.Bytes == 0 || o.Backlog.Oldest < 0.5 || o.LastError == nil || o.Retries == 0 {
		t.Errorf("output: %+v %+v", o, o.Backlog)
	}
	if len(st.Losses) != 1 || st.Losses[0].Name != "dummy.1" || st.Losses[0].Count == 0 {
		t.Errorf("losses: %+v", st.Losses)
	}
	_, metrics := get(t, "http://"+address+"/api/v2/metrics/prometheus")
	for _, part := range []string{`kagari_dropped_events_total{name="dummy.1",plugin="dummy",reason="no_output_matches"}`,
		`kagari_output_oldest_event_seconds{name="archive"}`, `kagari_output_pending_bytes{name="archive"}`, `kagari_input_up{name="web"} 1`} {
		if !strings.Contains(metrics, part) {
			t.Errorf("no metric %s", part)
		}
	}
	p.signal(syscall.SIGTERM)
	p.end(0)
}

// Without a terminal the pictures follow each other, and go on when the router
// is away for a while.
func TestTopWithoutATerminal(t *testing.T) {
	p, address := troubledRouter(t)
	text, _ := ended(t, "top", "-u", address, "-i", "100ms", "-n", "3")
	if n := strings.Count(text, "\nkagari "); n != 3 || strings.Contains(text, "\x1b") || !strings.HasPrefix(text, "--- 20") {
		t.Errorf("%d pictures:\n%s", n, text)
	}
	text, _ = ended(t, "status", "--watch", "-u", address, "-i", "100ms", "-n", "2", "-o", "json")
	if lines := strings.Split(strings.TrimSpace(text), "\n"); len(lines) != 2 || !json.Valid([]byte(lines[0])) {
		t.Errorf("%q", text)
	}

	cmd := exec.Command("kagari", "top", "-u", address, "-i", "100ms")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	missing, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer missing.Close()
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	buf := make([]byte, 100)
	if _, err := io.ReadFull(stdout, buf); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	p.signal(syscall.SIGTERM)
	p.end(0)
	if _, err := io.ReadFull(missing, buf); err != nil || !strings.Contains(string(buf), "no router answers") {
		t.Errorf("%q, %v", buf, err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGINT: %v", err)
	}
}

func TestTheAPIAnswersOnBothFamilies(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Log("there is no IPv6 here; only IPv4 is asked")
	} else {
		_ = l.Close()
	}
	for _, listen := range []string{"::", "0.0.0.0"} {
		p := start(t, "-H", "-L", listen, "-P", "0", "-i", "dummy", "-o", "null", "-m", "*")
		_, port, splitErr := net.SplitHostPort(p.await(`listening address=(\S+)`)[1])
		if splitErr != nil {
			t.Fatal(splitErr)
		}
		hosts := []string{"127.0.0.1"}
		if err == nil {
			hosts = append(hosts, "::1")
		}
		for _, host := range hosts {
			eventually(t, host+" is ready", func() bool {
				code, _ := get(t, "http://"+net.JoinHostPort(host, port)+"/api/v1/ready")
				return code == http.StatusOK
			})
			if text, _ := ended(t, "status", "--check", "-u", net.JoinHostPort(host, port)); text != "ready\n" {
				t.Errorf("--check: %q", text)
			}
		}
		p.signal(syscall.SIGTERM)
		p.end(0)
	}
}
