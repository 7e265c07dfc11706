//go:build unix

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// freePort returns a port of 127.0.0.1 that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// reloaded is a process whose configuration a test changes.
type reloaded struct {
	*process
	t    *testing.T
	file string
}

// write writes the configuration with these lines in its service section.
func (r *reloaded) write(service ...string) {
	r.t.Helper()
	text := "[SERVICE]\n  Flush 0.1\n  Hot_Reload on\n  HTTP_Listen 127.0.0.1\n  " + strings.Join(service, "\n  ") +
		"\n[INPUT]\n  Name dummy\n[OUTPUT]\n  Name null\n  Match *\n"
	if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func startReloaded(t *testing.T, service ...string) *reloaded {
	t.Helper()
	r := &reloaded{t: t, file: filepath.Join(t.TempDir(), "k.conf")}
	r.write(service...)
	r.process = start(t, "-c", r.file)
	r.await(`started`)
	return r
}

// hangup reloads by a signal and waits until that has taken effect.
func (r *reloaded) hangup() {
	r.t.Helper()
	r.signal(syscall.SIGHUP)
	r.await(`the new configuration is at work`)
}

// ask returns the status of a request, 0 if nobody listens.
func ask(t *testing.T, method, port, path string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:"+port+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func (r *reloaded) answers(port, path string, want int) {
	r.t.Helper()
	if got, _ := ask(r.t, "GET", port, path); got != want {
		r.t.Errorf("%s on port %s answers with %d, want %d", path, port, got, want)
	}
}

func TestReloadChangesTheHTTPServer(t *testing.T) {
	first, second := freePort(t), freePort(t)
	r := startReloaded(t, "HTTP_Server on", "HTTP_Port "+first)
	r.answers(first, "/api/v1/uptime", 200)

	r.write("HTTP_Server on", "HTTP_Port "+second, "storage.metrics off")
	if status, body := ask(t, "POST", first, "/api/v2/reload"); status != 200 {
		t.Fatalf("reload: %d %s", status, body)
	}
	r.await(`the new configuration is at work`)
	r.answers(first, "/api/v1/uptime", 0)
	r.answers(second, "/api/v1/uptime", 200)
	r.answers(second, "/api/v1/storage", 404)

	r.write("HTTP_Server on", "HTTP_Port "+second, "storage.metrics on")
	r.hangup()
	r.answers(second, "/api/v1/storage", 200)

	r.write("HTTP_Server off")
	r.hangup()
	r.answers(second, "/api/v1/uptime", 0)

	r.write("HTTP_Server on", "HTTP_Port "+first)
	r.hangup()
	r.answers(first, "/api/v1/uptime", 200)
	r.signal(syscall.SIGTERM)
	r.end(0)
}

func TestReloadWithAPortInUseChangesNothing(t *testing.T) {
	port := freePort(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r := startReloaded(t, "HTTP_Server on", "HTTP_Port "+port)
	r.write("HTTP_Server on", fmt.Sprint("HTTP_Port ", taken.Addr().(*net.TCPAddr).Port), "Log_Level debug")
	status, body := ask(t, "POST", port, "/api/v2/reload")
	if status != 400 || !strings.Contains(body, "address already in use") {
		t.Errorf("reload: %d %s, want a refusal that names the reason", status, body)
	}
	r.await(`not reloaded.*address already in use`)
	r.answers(port, "/api/v1/uptime", 200)
	r.signal(syscall.SIGTERM)
	r.end(0)
}

func TestReloadChangesTheLog(t *testing.T) {
	r := startReloaded(t, "Log_Level info")
	log := filepath.Join(filepath.Dir(r.file), "k.log")
	r.write("Log_Level error")
	r.signal(syscall.SIGHUP)
	r.await(`stopped`)
	r.write("Log_Level info", "Log_File "+log)
	r.signal(syscall.SIGHUP)
	deadline := time.Now().Add(20 * time.Second)
	for {
		text, _ := os.ReadFile(log)
		if strings.Contains(string(text), "the new configuration is at work") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log file has %q", text)
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.signal(syscall.SIGTERM)
	for line := range r.lines {
		t.Errorf("with the level error, and then with a log file, the standard error has %q", line)
	}
	r.end(0)
}
