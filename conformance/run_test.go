package conformance

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	startupTime = 6 * time.Second        // how long steps retry to connect
	stableTime  = 600 * time.Millisecond // outputs must be unchanged this long
	stopTime    = 12 * time.Second       // from SIGTERM to the end
)

// runner is one case under way.
type runner struct {
	t       *testing.T
	dir     string // of the case
	out     string // working directory of the program
	bin     string
	meta    meta
	env     map[string]string
	conns   map[string]net.Conn
	replies []string
}

func (r *runner) expand(s string) string {
	return variable.ReplaceAllStringFunc(s, func(m string) string {
		if v, ok := r.env[m[2:len(m)-1]]; ok {
			return v
		}
		return m
	})
}

func (r *runner) path(name string) string {
	name = r.expand(name)
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.out, name)
}

// mask hides what differs between machines.
func (r *runner) mask(s string) string {
	s = strings.ReplaceAll(s, r.out, "${OUT}")
	s = strings.ReplaceAll(s, r.dir, "${CASE}")
	return strings.ReplaceAll(s, strings.ReplaceAll(strings.Trim(r.out, "/"), "/", "."), "${OUT.}")
}

func (r *runner) read(name string) []string {
	b, err := os.ReadFile(r.path(name))
	if err != nil {
		return nil
	}
	return lines(string(b))
}

func (r *runner) stdout() []string {
	if r.meta.Stdout == "" {
		return nil
	}
	all := r.read(".stdout")
	if r.meta.StdoutFilter == "" {
		return all
	}
	keep := regexp.MustCompile(r.meta.StdoutFilter)
	return slices.DeleteFunc(all, func(l string) bool { return !keep.MatchString(l) })
}

// size is the number of lines and bytes that all outputs hold.
func (r *runner) size() (n, bytes int) {
	count := func(ls []string) {
		n += len(ls)
		for _, l := range ls {
			bytes += len(l)
		}
	}
	for _, name := range append(slices.Clone(r.meta.Outputs), r.meta.Raw...) {
		count(r.read(name))
	}
	count(r.stdout())
	return n, bytes
}

var recordLine = regexp.MustCompile(`(?s)^(.*?): \[(-?\d+(?:\.\d+)?), (.*)\]$`)

// canonical gives a line of the file output the form of expected.jsonl.
func (r *runner) canonical(file, line string) string {
	m := recordLine.FindStringSubmatch(line)
	if m == nil {
		return fmt.Sprintf("{%q: %q}", "unparsed", line)
	}
	rec, err := decode(m[3])
	if err != nil {
		return fmt.Sprintf("{%q: %q}", "unparsed", line)
	}
	rec = mapStrings(rec, r.mask)
	if o, ok := rec.(object); ok {
		for i := range o {
			if pattern, ok := r.meta.Mask[o[i].key]; ok {
				o[i].val = r.hide(pattern, o[i].val)
			}
		}
	}
	o := object{}
	if len(r.meta.Outputs) > 1 {
		o = append(o, member{"file", file})
	}
	o = append(o, member{"tag", r.mask(m[1])})
	switch r.meta.Time {
	case "exact":
		o = append(o, member{"time", m[2]})
	case "now":
		var sec float64
		if _, err := fmt.Sscan(m[2], &sec); err == nil && time.Since(time.UnixMicro(int64(sec*1e6))).Abs() < 5*time.Minute {
			m[2] = "now"
		}
		o = append(o, member{"time", m[2]})
	}
	return r.spell(append(o, member{"record", rec}))
}

// hide replaces a value that fits the pattern.
func (r *runner) hide(pattern string, v any) any {
	text, ok := v.(string)
	if !ok {
		text = r.spell(v)
	}
	if regexp.MustCompile(`^(?:` + pattern + `)$`).MatchString(text) {
		return "<ok>"
	}
	return "<bad: " + text + ">"
}

func (r *runner) spell(v any) string {
	var b strings.Builder
	dump(&b, v, r.meta.Keys == "any")
	return b.String()
}

func (r *runner) do(st step) {
	t := r.t
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Errorf("step: %v", err)
		}
	}
	switch {
	case st.Append != nil:
		f, err := os.OpenFile(r.path(st.Append.File), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		must(err)
		_, err = f.Write(st.Append.bytes())
		must(err)
		must(f.Close())
	case st.Write != nil:
		must(os.WriteFile(r.path(st.Write.File), st.Write.bytes(), 0o644))
	case st.Rename != nil:
		must(os.Rename(r.path(st.Rename.From), r.path(st.Rename.To)))
	case st.Copy != nil:
		b, err := os.ReadFile(r.path(st.Copy.From))
		must(err)
		must(os.WriteFile(r.path(st.Copy.To), b, 0o644))
	case st.Truncate != nil:
		must(os.Truncate(r.path(st.Truncate.File), st.Truncate.Size))
	case st.Remove != nil:
		must(os.Remove(r.path(st.Remove.File)))
	case st.Mkdir != nil:
		must(os.MkdirAll(r.path(st.Mkdir.Dir), 0o755))
	case st.TCPSend != nil:
		r.send("tcp", "127.0.0.1:"+r.expand(st.TCPSend.Port), st.TCPSend)
	case st.ForwardSend != nil:
		r.send("tcp", "127.0.0.1:"+r.expand(st.ForwardSend.Port), st.ForwardSend)
	case st.UDPSend != nil:
		r.send("udp", "127.0.0.1:"+r.expand(st.UDPSend.Port), st.UDPSend)
	case st.UnixSend != nil:
		network := "unix"
		if st.UnixSend.Dgram {
			network = "unixgram"
		}
		r.send(network, r.path(st.UnixSend.Path), st.UnixSend)
	case st.HTTPPost != nil:
		r.post(st.HTTPPost)
	default:
		t.Fatalf("a step of an unknown kind: %+v", st)
	}
}

// dial retries until something listens.
func (r *runner) dial(network, address string) net.Conn {
	for deadline := time.Now().Add(startupTime); ; {
		c, err := net.DialTimeout(network, address, 5*time.Second)
		if err == nil {
			return c
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("nothing listens on %s %s: %v", network, address, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (r *runner) send(network, address string, p *payload) {
	c := r.conns[p.Conn]
	delete(r.conns, p.Conn)
	if c == nil {
		c = r.dial(network, address)
	}
	data := p.bytes()
	size := p.Split
	if size == 0 {
		size = len(data)
	}
	for i := 0; i < len(data); i += size {
		if _, err := c.Write(data[i:min(i+size, len(data))]); err != nil {
			r.t.Errorf("send: %v", err)
		}
		if p.Split > 0 {
			pause := 50 * time.Millisecond
			if p.SplitPauseS > 0 {
				pause = seconds(p.SplitPauseS)
			}
			time.Sleep(pause)
		}
	}
	if p.Reply {
		r.replies = append(r.replies, fmt.Sprintf(`{"reply_hex": %q}`, hex.EncodeToString(receive(c))))
	}
	if p.Conn != "" && !p.Close {
		r.conns[p.Conn] = c
		return
	}
	time.Sleep(50 * time.Millisecond)
	c.Close()
}

// receive reads what comes within a while, until it pauses.
func receive(c net.Conn) []byte {
	var all []byte
	buf := make([]byte, 64<<10)
	wait := 3 * time.Second
	for {
		if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return all
		}
		n, err := c.Read(buf)
		all = append(all, buf[:n]...)
		if err != nil {
			return all
		}
		wait = 300 * time.Millisecond
	}
}

func (r *runner) post(q *request) {
	address := "127.0.0.1:" + r.expand(q.Port)
	r.dial("tcp", address).Close()
	body := q.BodyBase64
	if body == nil {
		body = []byte(q.Body)
	}
	method, path := q.Method, q.Path
	if method == "" {
		method = http.MethodPost
	}
	if path == "" {
		path = "/"
	}
	req, err := http.NewRequest(method, "http://"+address+path, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for k, v := range q.Headers {
		req.Header.Set(k, v)
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		r.replies = append(r.replies, fmt.Sprintf(`{"status": %q}`, err))
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	reply := fmt.Sprintf(`{"status": %d}`, resp.StatusCode)
	if q.KeepBody {
		quoted, _ := json.Marshal(string(text))
		reply = fmt.Sprintf(`{"status": %d, "body": %s}`, resp.StatusCode, quoted)
	}
	r.replies = append(r.replies, reply)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func either(a, b *float64, def float64) time.Duration {
	switch {
	case a != nil:
		return seconds(*a)
	case b != nil:
		return seconds(*b)
	}
	return seconds(def)
}

// once starts the program, does the steps, waits for the outputs and stops it.
// want is the number of lines to wait for. It returns the exit code.
func (r *runner) once(rn run, want int) int {
	t := r.t
	args := []string{}
	config := rn.Config
	if config == nil {
		config = r.meta.run.Config
	}
	switch string(config) {
	case "null":
	case "":
		args = append(args, "-c", filepath.Join(r.dir, "pipeline.conf"))
	default:
		var name string
		if err := json.Unmarshal(config, &name); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-c", filepath.Join(r.dir, name))
	}
	more := rn.Args
	if more == nil {
		more = r.meta.run.Args
	}
	for _, a := range more {
		args = append(args, r.expand(a))
	}
	cmd := exec.Command(r.bin, args...)
	cmd.Dir = r.out
	for k, v := range r.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	open := func(name string) *os.File {
		f, err := os.OpenFile(filepath.Join(r.out, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	so, se := open(".stdout"), open(".stderr")
	defer so.Close()
	defer se.Close()
	cmd.Stdout, cmd.Stderr = so, se
	input, err := os.ReadFile(filepath.Join(r.dir, "stdin.txt"))
	var pipe io.WriteCloser
	if err == nil {
		if pipe, err = cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	alive := func() bool {
		select {
		case <-ended:
			return false
		default:
			return true
		}
	}
	defer func() {
		for _, c := range r.conns {
			c.Close()
		}
		clear(r.conns)
		if alive() {
			_ = cmd.Process.Kill()
			<-ended
		}
	}()
	if pipe != nil {
		time.Sleep(either(r.meta.StdinAfter, nil, 0.5))
		_, _ = pipe.Write(input)
		_ = pipe.Close()
	}
	maxTime := either(rn.MaxS, r.meta.run.MaxS, 8)
	if r.meta.ExpectExit != "" {
		select {
		case <-ended:
			return cmd.ProcessState.ExitCode()
		case <-time.After(maxTime):
			t.Fatalf("it keeps running; expected exit %s", r.meta.ExpectExit)
		}
	}
	steps := rn.Steps
	if steps == nil {
		steps = r.meta.run.Steps
	}
	prev := start
	for _, st := range steps {
		time.Sleep(time.Until(prev.Add(seconds(st.AfterS))))
		if st.WhenLines > 0 {
			for n, _ := r.size(); n < st.WhenLines && time.Since(start) < maxTime && alive(); n, _ = r.size() {
				time.Sleep(30 * time.Millisecond)
			}
			time.Sleep(200 * time.Millisecond)
		}
		r.do(st)
		prev = time.Now()
	}
	minTime := either(rn.MinS, r.meta.run.MinS, 0)
	if want == 0 {
		minTime = max(minTime, 1500*time.Millisecond)
	}
	lastN, lastBytes, since := -1, -1, time.Now()
	for time.Since(prev) < maxTime && alive() {
		n, size := r.size()
		if n != lastN || size != lastBytes {
			lastN, lastBytes, since = n, size, time.Now()
		}
		if time.Since(prev) >= minTime && time.Since(since) >= stableTime && n >= want {
			break
		}
		time.Sleep(40 * time.Millisecond)
	}
	if alive() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(stopTime):
			t.Fatal("it does not end after SIGTERM")
		}
	}
	return cmd.ProcessState.ExitCode()
}
