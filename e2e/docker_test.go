package e2e

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// engine is a Docker Engine of the test's own, with one image, "busybox".
type engine struct{ host string }

var dockerd = sync.OnceValues(startEngine)

// startEngine runs dockerd with a data directory of its own, without network
// set-up: containers use the network of the host or none.
func startEngine() (*engine, error) {
	for _, program := range []string{"dockerd", "docker"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%s is not installed (Debian: docker.io)", program)
		}
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return nil, fmt.Errorf("busybox is not installed (Debian: busybox-static): %w", err)
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("an engine of the test's own needs root")
	}
	dir, err := os.MkdirTemp("", "kagari-dockerd-")
	if err != nil {
		return nil, err
	}
	e := &engine{host: "unix://" + filepath.Join(dir, "docker.sock")}
	log := &bytes.Buffer{}
	cmd := exec.Command("dockerd", "--host", e.host, "--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid"), "--iptables=false", "--bridge=none", "--storage-driver=vfs")
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	cleanups = append(cleanups, func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if _, err := e.docker(nil, "version"); err == nil {
			break
		} else if time.Now().After(deadline) {
			return nil, fmt.Errorf("the engine does not come up: %w\n%s", err, log)
		}
	}
	var image bytes.Buffer
	w := tar.NewWriter(&image)
	for _, name := range []string{"bin/busybox", "bin/sh"} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(busybox))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(busybox); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if _, err := e.docker(image.Bytes(), "import", "-", "busybox"); err != nil {
		return nil, err
	}
	if _, err := e.docker(nil, "run", "--rm", "--network=none", "--log-driver=none", "busybox", "/bin/sh", "-c", "true"); err != nil {
		return nil, fmt.Errorf("the engine cannot run a container here: %w", err)
	}
	return e, nil
}

// cleanups run after all tests.
var cleanups []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for _, c := range cleanups {
		c()
	}
	os.Exit(code)
}

func needEngine(t *testing.T) *engine {
	t.Helper()
	e, err := dockerd()
	if err != nil {
		t.Skipf("no Docker Engine can run here: %v", err)
	}
	return e
}

func (e *engine) docker(stdin []byte, args ...string) (string, error) {
	cmd := exec.Command("docker", append([]string{"--host", e.host}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, errOut.String())
	}
	return out.String(), nil
}

// run starts a container that logs to address and waits for its end.
func (e *engine) run(t *testing.T, address, script string, opts ...string) {
	t.Helper()
	args := []string{"run", "--rm", "--network=none", "--log-driver=fluentd",
		"--log-opt", "fluentd-address=" + address, "--log-opt", "tag=app.{{.Name}}",
		"--log-opt", "fluentd-sub-second-precision=true"}
	for _, o := range opts {
		args = append(args, "--log-opt", o)
	}
	args = append(args, "busybox", "/bin/sh", "-c", script)
	if _, err := e.docker(nil, args...); err != nil {
		t.Error(err)
	}
}

// checkLines fails unless the file holds {"log":"line 1"} to {"log":"line n"},
// each at least once, and tells how many came twice.
func checkLines(t *testing.T, file string, n int) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	seen := make([]int, n+1)
	for line := range strings.Lines(string(b)) {
		var rec struct {
			Log         string `json:"log"`
			ContainerID string `json:"container_id"`
			Source      string `json:"source"`
		}
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		var i int
		if _, err := fmt.Sscanf(rec.Log, "line %d", &i); err != nil || i < 1 || i > n {
			t.Fatalf("an unexpected line: %q", line)
		}
		if rec.ContainerID == "" || rec.Source != "stdout" {
			t.Errorf("the fields of the log driver are missing: %q", line)
		}
		seen[i]++
	}
	lost, twice := 0, 0
	for _, k := range seen[1:] {
		switch {
		case k == 0:
			lost++
		case k > 1:
			twice++
		}
	}
	if lost > 0 || twice > 0 {
		t.Errorf("of %d lines %d are lost and %d came more than once", n, lost, twice)
	}
}

const forwardToFile = `
[SERVICE]
    Flush 0.2
    Grace 5
[INPUT]
    Name forward
    %s
[OUTPUT]
    Name file
    Match *
    Format plain
    Path %s
    File out.log
`

func TestDockerLogsOverTCP(t *testing.T) {
	e := needEngine(t)
	dir, port := t.TempDir(), freePort(t)
	r := start(t, fmt.Sprintf(forwardToFile, "Listen 127.0.0.1\n    Port "+port, dir))
	waitFor(t, "the forward input", func() bool { return listening("tcp", "127.0.0.1:"+port) })
	e.run(t, "127.0.0.1:"+port, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line $i; done")
	r.stop()
	checkLines(t, filepath.Join(dir, "out.log"), 20000)
}

func TestDockerLogsOverUnixSocket(t *testing.T) {
	e := needEngine(t)
	dir := t.TempDir()
	sock := filepath.Join(dir, "fluent.sock")
	r := start(t, fmt.Sprintf(forwardToFile, "Unix_Path "+sock, dir))
	waitFor(t, "the forward input", func() bool { return listening("unix", sock) })
	e.run(t, "unix://"+sock, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line $i; done")
	r.stop()
	checkLines(t, filepath.Join(dir, "out.log"), 20000)
}

// The driver keeps lines while nobody listens and sends them later; the router
// must not take a line it will not deliver.
func TestDockerLogsSurviveARestartOfTheRouter(t *testing.T) {
	e := needEngine(t)
	f := func(name, address, input string, up func() bool) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			config := fmt.Sprintf(forwardToFile, input, dir)
			r := start(t, config)
			waitFor(t, "the forward input", up)
			done := make(chan struct{})
			go func() {
				defer close(done)
				e.run(t, address, "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; busybox usleep 1000; done",
					"fluentd-async=true", "fluentd-retry-wait=200ms", "fluentd-max-retries=100")
			}()
			waitFor(t, "the first lines", func() bool { return count(filepath.Join(dir, "out.log")) > 500 })
			r.stop()
			time.Sleep(500 * time.Millisecond)
			r = start(t, config)
			<-done
			r.stop()
			checkLines(t, filepath.Join(dir, "out.log"), 3000)
		})
	}
	port := freePort(t)
	f("tcp", "127.0.0.1:"+port, "Listen 127.0.0.1\n    Port "+port, func() bool { return listening("tcp", "127.0.0.1:"+port) })
	sock := filepath.Join(t.TempDir(), "fluent.sock")
	f("unix", "unix://"+sock, "Unix_Path "+sock, func() bool { return listening("unix", sock) })
}
