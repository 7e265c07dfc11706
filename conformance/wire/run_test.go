package wire

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The credentials that cases with "aws" get.
const (
	accessKey = "AKIDWIRETEST00000001"
	secretKey = "wireTestSecretKey/0123456789+abcdefghijk"
)

const (
	pollTime = 50 * time.Millisecond
	// portTime is how long to wait for a fixed port that another case uses.
	portTime = time.Minute
	// drainTime is for what the ended program left in the kernel's queues.
	drainTime = 200 * time.Millisecond
)

// runner is one case under way.
type runner struct {
	t       *testing.T
	c       *testCase
	bin     string
	dir     string // of the case
	work    string // a copy of it, where the program runs
	env     map[string]string
	journal journal
	open    []*listener
}

// prepare makes the working folder and opens the listeners.
func (r *runner) prepare(s setup) {
	t := r.t
	if err := os.CopyFS(r.work, os.DirFS(r.dir)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"case.json", "expected.json"} {
		if err := os.Remove(filepath.Join(r.work, name)); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(r.work, "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	r.env = map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": out, "TZ": "UTC", "LANG": "C.UTF-8", "HOSTNAME": "wirehost",
		"OUT": out, "CASE": r.work, "CERT": s.certFile, "AWS_EC2_METADATA_DISABLED": "true",
	}
	r.journal.last = time.Now()
	for _, spec := range r.c.listeners() {
		l, err := listen(spec, r.c, &r.journal, s.cert)
		for end := time.Now().Add(portTime); err != nil && spec.Port != 0 && time.Now().Before(end); {
			time.Sleep(pollTime)
			l, err = listen(spec, r.c, &r.journal, s.cert)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.close)
		r.open = append(r.open, l)
		r.env[spec.Name] = strconv.Itoa(l.port)
	}
	if r.c.AWS {
		r.env["AWS_ACCESS_KEY_ID"], r.env["AWS_SECRET_ACCESS_KEY"] = accessKey, secretKey
	}
	known := maps.Clone(r.env)
	for k, v := range r.c.Env {
		r.env[k] = expand(v, known)
	}
	r.write(r.c.Files, os.O_TRUNC)
}

// write makes the files, or adds to them with os.O_APPEND.
func (r *runner) write(files map[string]fileSpec, how int) {
	for name, spec := range files {
		path := filepath.Join(r.work, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			r.t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|how, 0o644)
		if err != nil {
			r.t.Fatal(err)
		}
		if _, err := f.Write(spec.content); err != nil {
			r.t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			r.t.Fatal(err)
		}
	}
}

// run starts the program, waits until enough came and it is quiet, stops the
// program and closes the listeners. The journal is complete then.
func (r *runner) run() {
	t := r.t
	log, err := os.Create(r.logFile())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(r.bin, "-c", filepath.Join(r.work, "pipeline.conf"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.work, log, log
	for k, v := range r.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	defer func() {
		_ = cmd.Process.Kill() // does nothing to one that ended
		<-ended
	}()
	if r.wait(ended) {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		exitWait := seconds(r.c.ExitWait, 8)
		select {
		case <-ended:
		case <-time.After(exitWait):
			t.Logf("it did not end within %v after SIGTERM and was killed", exitWait)
			_ = cmd.Process.Kill()
			<-ended
		}
	} else if !r.c.MayExit {
		t.Errorf("the program ended by itself: %v", cmd.ProcessState)
	}
	time.Sleep(drainTime)
	for _, l := range r.open {
		l.close()
	}
}

func (r *runner) logFile() string { return filepath.Join(r.work, "log.txt") }

// wait returns when the program should be stopped, or false if it ended.
func (r *runner) wait(ended <-chan struct{}) (running bool) {
	start := time.Now()
	appendAt := time.Duration(-1)
	if r.c.Append != nil {
		appendAt = seconds(r.c.Append.At, 1.5)
	}
	need := 1
	if r.c.MinRequests != nil {
		need = *r.c.MinRequests
	}
	settle, timeout, stopAfter := seconds(r.c.Settle, 2), seconds(r.c.Timeout, 20), seconds(&r.c.StopAfter, 0)
	for {
		select {
		case <-ended:
			return false
		case <-time.After(pollTime):
		}
		past := time.Since(start)
		if past > timeout {
			return true
		}
		if appendAt >= 0 && past > appendAt {
			r.write(r.c.Append.Files, os.O_APPEND)
			appendAt = -1
		}
		if stopAfter > 0 {
			if past > stopAfter {
				return true
			}
			continue
		}
		if n, quiet := r.journal.state(); n >= need && quiet > settle && appendAt < 0 {
			return true
		}
	}
}

// explain logs what helps to understand a failure.
func (r *runner) explain() {
	if r.c.Quirk != "" {
		r.t.Logf("what was recorded may be an accident: %s", r.c.Quirk)
	}
	for _, l := range r.open {
		for _, n := range l.notes {
			r.t.Log(n)
		}
	}
	b, err := os.ReadFile(r.logFile())
	if err != nil {
		r.t.Log(err)
	}
	all := strings.Split(strings.TrimSuffix(decodeText(b), "\n"), "\n")
	r.t.Logf("the program's log ends with\n%s", strings.Join(all[max(0, len(all)-15):], "\n"))
}

// missing tells what the case needs and is not there.
func missing(c *testCase) string {
	for _, need := range c.Requires {
		if need == "root443" {
			if os.Geteuid() != 0 {
				return "it needs to listen on port 443"
			}
		} else if _, err := exec.LookPath(need); err != nil && !slices.Contains(builtin, need) {
			return "it needs the program " + need
		}
	}
	return ""
}

// builtin are programs that the Go port does without.
var builtin = []string{"zstd", "openssl"}
