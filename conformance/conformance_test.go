package conformance

import (
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/internal/testbinary"
)

// binary gives the program that KAGARI_TEST_BIN names, or builds ours once.
func binary(t *testing.T) string {
	t.Helper()
	bin, err := testbinary.Path("KAGARI_TEST_BIN", func() (string, error) { return t.TempDir(), nil })
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// TestCases runs every case below cases/. A single one: -run 'TestCases/tail-db'.
func TestCases(t *testing.T) {
	bin := binary(t)
	dirs, err := filepath.Glob("cases/*/case.json")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	// At most four at once: cases measure nothing but have time limits.
	slots := make(chan struct{}, 4)
	t.Run("cases", func(t *testing.T) {
		for _, file := range dirs {
			dir, err := filepath.Abs(filepath.Dir(file))
			if err != nil {
				t.Fatal(err)
			}
			t.Run(filepath.Base(dir), func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				runCase(t, bin, dir)
			})
		}
	})
}

func runCase(t *testing.T, bin, dir string) {
	r := &runner{t: t, dir: dir, bin: bin, meta: loadMeta(t, dir), out: t.TempDir(), conns: map[string]net.Conn{}}
	r.environment()
	if st, err := os.Stat(filepath.Join(dir, "input")); err == nil && st.IsDir() {
		if err := os.CopyFS(filepath.Join(r.out, "input"), os.DirFS(filepath.Join(dir, "input"))); err != nil {
			t.Fatal(err)
		}
	}
	if r.meta.ExpectExit != "" {
		code := r.once(run{}, 0)
		if (code == 0) != (r.meta.ExpectExit == "zero") || code < 0 {
			t.Errorf("exit code %d; expected %s", code, r.meta.ExpectExit)
		}
		if code != 0 && len(r.read(".stderr"))+len(r.read(".stdout")) == 0 {
			t.Error("it was refused without a message")
		}
		return
	}
	want := expectedLines(t, filepath.Join(dir, "expected.jsonl"))
	if *update {
		want = nil
	}
	total := len(want) + len(expectedLines(t, filepath.Join(dir, "expected.stdout")))
	for _, raw := range r.meta.Raw {
		total += len(expectedLines(t, filepath.Join(dir, "expected."+raw)))
	}
	runs := r.meta.Runs
	if len(runs) == 0 {
		runs = []run{{}}
	}
	for i, rn := range runs {
		n := total
		if i < len(runs)-1 {
			n = 0
			if rn.Lines != nil {
				n = *rn.Lines
			}
		}
		if code := r.once(rn, n); code != 0 {
			t.Errorf("exit code %d after SIGTERM; expected 0", code)
		}
		for _, st := range rn.After {
			if i < len(runs)-1 {
				r.do(st)
			}
		}
	}
	var got []string
	for _, name := range r.meta.Outputs {
		for _, line := range r.read(name) {
			got = append(got, r.canonical(name, line))
		}
	}
	if *update {
		r.record(got)
		return
	}
	r.compare("records", r.respell(want), got)
	for _, raw := range r.meta.Raw {
		r.compare("file "+raw, expectedLines(t, filepath.Join(dir, "expected."+raw)), r.masked(r.read(raw)))
	}
	if r.meta.Stdout != "" {
		r.compare("standard output", expectedLines(t, filepath.Join(dir, "expected.stdout")), r.masked(r.stdout()))
	}
	if r.meta.CheckReplies {
		r.compare("replies", r.respell(expectedLines(t, filepath.Join(dir, "expected.replies"))), r.respell(r.replies))
	}
	if t.Failed() {
		log := r.read(".stderr")
		t.Logf("its log ends with\n%s", strings.Join(log[max(0, len(log)-10):], "\n"))
	}
}

// environment sets the variables that cases use.
func (r *runner) environment() {
	r.env = map[string]string{}
	for _, kv := range os.Environ() {
		k, v, _ := strings.Cut(kv, "=")
		r.env[k] = v
	}
	r.env["OUT"], r.env["CASE"], r.env["TZ"], r.env["LC_ALL"] = r.out, r.dir, "UTC", "C.UTF-8"
	for i := 1; i <= 4; i++ {
		r.env[fmt.Sprintf("PORT%d", i)] = freePort(r.t)
	}
	for k, v := range r.meta.Env {
		delete(r.env, k)
		if v != nil {
			r.env[k] = r.expand(*v)
		}
	}
}

// freePort returns a port that is free for TCP and UDP at this moment.
func freePort(t *testing.T) string {
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			continue
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		u, err := net.ListenPacket("udp", l.Addr().String())
		l.Close()
		if err == nil {
			u.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

var update = flag.Bool("update", false, "write what came as the expectation; for the reference program only")

// record writes the expectations anew.
func (r *runner) record(records []string) {
	write := func(name string, lines []string) {
		text := strings.Join(lines, "\n")
		if text != "" {
			text += "\n"
		}
		if err := os.WriteFile(filepath.Join(r.dir, "expected."+name), []byte(text), 0o644); err != nil {
			r.t.Error(err)
		}
	}
	if len(r.meta.Outputs) > 0 {
		write("jsonl", records)
	}
	for _, raw := range r.meta.Raw {
		write(raw, r.masked(r.read(raw)))
	}
	if r.meta.Stdout != "" {
		write("stdout", r.masked(r.stdout()))
	}
	if r.meta.CheckReplies {
		write("replies", r.replies)
	}
}

// respell gives JSON lines the spelling of canonical.
func (r *runner) respell(in []string) []string {
	out := make([]string, 0, len(in))
	for _, l := range in {
		v, err := decode(l)
		if err != nil {
			r.t.Fatalf("%v in %q", err, l)
		}
		out = append(out, r.spell(v))
	}
	return out
}

func (r *runner) masked(in []string) []string {
	out := make([]string, 0, len(in))
	for _, l := range in {
		out = append(out, r.mask(l))
	}
	return out
}

func (r *runner) compare(what string, want, got []string) {
	r.t.Helper()
	if r.meta.Compare == "unordered" {
		want, got = slices.Clone(want), slices.Clone(got)
		slices.Sort(want)
		slices.Sort(got)
	}
	if slices.Equal(want, got) {
		return
	}
	var b strings.Builder
	for _, l := range want {
		if !slices.Contains(got, l) {
			fmt.Fprintf(&b, "\n- %s", l)
		}
	}
	for _, l := range got {
		if !slices.Contains(want, l) {
			fmt.Fprintf(&b, "\n+ %s", l)
		}
	}
	if b.Len() == 0 {
		fmt.Fprintf(&b, "\nthe order or number of equal lines differs\n- %s\n+ %s", strings.Join(want, "\n- "), strings.Join(got, "\n+ "))
	}
	r.t.Errorf("%s differ: %d expected, %d came%s", what, len(want), len(got), b.String())
}
