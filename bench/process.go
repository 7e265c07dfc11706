package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// program is a log router under test.
type program struct {
	name    string
	path    string
	version string
	size    int64 // of the binary, in bytes
}

// newProgram looks at a binary and asks for its version.
func newProgram(ctx context.Context, name, path string) (*program, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", name, err)
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", name, err)
	}
	version, _, _ := strings.Cut(string(out), "\n")
	return &program{name: name, path: path, version: strings.TrimSpace(version), size: info.Size()}, nil
}

// accepts asks kagari whether it can run all of the pipeline.conf in dir, with
// no part ignored. It returns its reason if not.
func (p *program) accepts(ctx context.Context, dir string, env []string) error {
	cmd := exec.CommandContext(ctx, p.path, "--dry-run", "--strict", "-c", filepath.Join(dir, "pipeline.conf"))
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if line := lastProblem(out); line != "" {
		return errors.New(strings.ReplaceAll(line, dir+string(filepath.Separator), ""))
	}
	return err
}

// lastProblem returns the first line of a log that tells of an error, else the
// last one.
func lastProblem(log []byte) string {
	last := ""
	for line := range strings.Lines(string(log)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		last = line
		if strings.Contains(strings.ToLower(line), "error") {
			return line
		}
	}
	return last
}

// process is a running program.
type process struct {
	cmd     *exec.Cmd
	started time.Time
	log     bytes.Buffer  // what it printed; read it after exited is closed
	exited  chan struct{} // closed when the process has ended
	err     error         // of cmd.Wait, set before exited is closed
}

// start runs the program with the pipeline.conf in dir.
func (p *program) start(dir string, env []string) (*process, error) {
	q := &process{exited: make(chan struct{})}
	q.cmd = exec.Command(p.path, "-c", filepath.Join(dir, "pipeline.conf"))
	q.cmd.Dir, q.cmd.Env = dir, append(os.Environ(), env...)
	q.cmd.Stdout, q.cmd.Stderr = &q.log, &q.log
	q.started = time.Now()
	if err := q.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	go func() {
		q.err = q.cmd.Wait()
		close(q.exited)
	}()
	return q, nil
}

// stopTime is how long a program may take to end after SIGTERM.
const stopTime = 20 * time.Second

// stop ends the process in order, or kills it after stopTime, and waits for its
// end. It may be called more than once.
func (q *process) stop() error {
	select {
	case <-q.exited:
		return q.err
	default:
	}
	_ = q.cmd.Process.Signal(syscall.SIGTERM) // It may have ended just now.
	select {
	case <-q.exited:
		return q.err
	case <-time.After(stopTime):
		_ = q.cmd.Process.Kill()
		<-q.exited
		return fmt.Errorf("it did not end within %v of SIGTERM", stopTime)
	}
}

// cpu returns user and system time after the end of the process.
func (q *process) cpu() time.Duration {
	return q.cmd.ProcessState.UserTime() + q.cmd.ProcessState.SystemTime()
}

// peakMemory returns the largest resident size of the process so far in bytes.
// The figure of wait4(2) would not do: it starts with the memory of the parent.
func (q *process) peakMemory() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", q.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read peak memory: %w", err)
	}
	return parsePeak(b)
}

func parsePeak(status []byte) (int64, error) {
	sc := bufio.NewScanner(bytes.NewReader(status))
	for sc.Scan() {
		if rest, ok := strings.CutPrefix(sc.Text(), "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read peak memory: %w", err)
			}
			return kb << 10, nil
		}
	}
	return 0, errors.New("read peak memory: no VmHWM in the process status")
}

// processed asks the admin API how many records the outputs have got.
func processed(ctx context.Context, port int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/api/v1/metrics", port), nil)
	if err != nil {
		return 0, err
	}
	// A kept connection would be one more thing to serve.
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var m struct {
		Output map[string]struct {
			Records int `json:"proc_records"`
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	sum := 0
	for _, o := range m.Output {
		sum += o.Records
	}
	return sum, nil
}
