package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"
	"go.uber.org/goleak"
)

// TestMain lets the test binary play the program under test.
func TestMain(m *testing.M) {
	if mode := os.Getenv("BENCH_FAKE"); mode != "" {
		if err := fakeRouter(mode, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "[error]", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// fakeRouter understands as much of a log router's command line and of the
// configuration as the harness uses. The mode says what it does wrong.
func fakeRouter(mode string, args []string) error {
	switch {
	case args[0] == "--version":
		fmt.Println("Fake v1.2.3\nmore")
		return nil
	case mode == "refuse":
		return errors.New("there is no such plugin")
	case args[0] == "--dry-run":
		return nil
	case mode == "crash":
		return errors.New("out of luck")
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	var processed atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/api/v1/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"input":{"x.0":{"records":7}},"output":{"null.0":{"proc_records":%d}}}`, processed.Load())
	})
	admin, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("BENCH_ADMIN_PORT"))
	if err != nil {
		return err
	}
	go http.Serve(admin, mux)

	in, err := fakeInput()
	if err != nil {
		return err
	}
	var body bytes.Buffer
	for n := 0; ; n++ {
		record, ok := in()
		if !ok {
			break
		}
		if mode == "lose" && n%10 == 0 {
			continue
		}
		body.WriteString(record)
		processed.Add(1)
	}
	if port := os.Getenv("BENCH_SINK_PORT"); port != "0" {
		times := 1
		if mode == "twice" {
			times = 2
		}
		for range times {
			resp, err := http.Post("http://127.0.0.1:"+port+"/logs", "application/json", bytes.NewReader(body.Bytes()))
			if err != nil {
				return err
			}
			resp.Body.Close()
		}
	}
	<-term
	return nil
}

// fakeInput returns an iterator over the records of the file or the stream.
func fakeInput() (func() (string, bool), error) {
	if name := os.Getenv("BENCH_FILE"); name != "" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		sc := bufio.NewScanner(f)
		return func() (string, bool) { ok := sc.Scan(); return sc.Text(), ok }, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("BENCH_INPUT_PORT"))
	if err != nil {
		return nil, err
	}
	conn, err := l.Accept()
	if err != nil {
		return nil, err
	}
	r := msgp.NewReader(conn)
	n := 0
	return func() (string, bool) {
		if n == fakeRecords {
			return "", false
		}
		if err := r.Skip(); err != nil {
			return "", false
		}
		n++
		return fmt.Sprintf(`{"seq":%d}`, firstSeq+n-1), true
	}, nil
}

const fakeRecords = 2000

// fake returns the test binary as a program.
func fake(t *testing.T, name, mode string) *program {
	t.Helper()
	t.Setenv("BENCH_FAKE", mode)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProgram(context.Background(), name, exe)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func rowNamed(t *testing.T, name string) row {
	t.Helper()
	selected, err := selectRows(name)
	if err != nil {
		t.Fatal(err)
	}
	return selected[0]
}

func newBench(t *testing.T) *bench {
	return &bench{dir: t.TempDir(), records: fakeRecords, timeout: time.Minute, stall: time.Second}
}

func TestMeasure(t *testing.T) {
	for _, name := range []string{"tail-null", "tail-json-http", "forward-null", "forward-http"} {
		t.Run(name, func(t *testing.T) {
			p, b := fake(t, "kagari", "ok"), newBench(t)
			if p.version != "Fake v1.2.3" || p.size == 0 {
				t.Errorf("got %+v", p)
			}
			res, err := b.row(context.Background(), rowNamed(t, name), p, p, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range []*measured{res.Theirs, res.Ours} {
				if m == nil || len(m.Runs) != 2 || m.CPU <= 0 || m.Wall <= 0 || m.Missing+m.Duplicates != 0 {
					t.Errorf("got %+v, notes %q", m, res.Notes)
				}
			}
			if res.Ratio == 0 {
				t.Error("no ratio")
			}
			left, err := filepath.Glob(filepath.Join(b.dir, name+"-*"))
			if err != nil || len(left) != 0 {
				t.Errorf("directories are left: %q, %v", left, err)
			}
		})
	}
}

func TestMeasureFindsFaults(t *testing.T) {
	f := func(mode, name string, want status, note string) {
		t.Helper()
		p := fake(t, "kagari", mode)
		res, err := newBench(t).row(context.Background(), rowNamed(t, name), nil, p, 2)
		if err != nil {
			t.Fatal(err)
		}
		if notes := strings.Join(res.Notes, "\n"); res.Status != want || !strings.Contains(notes, note) {
			t.Errorf("%s: got %s, %q, want %s, %q", mode, res.Status, notes, want, note)
		}
		if strings.Contains(strings.Join(res.Notes, ""), t.TempDir()) {
			t.Errorf("%s: a path in %q", mode, res.Notes)
		}
	}
	f("refuse", "tail-json-lua-null", notYet, "needs filter lua: [error] there is no such plugin")
	f("refuse", "tail-null", failed, "kagari refuses the configuration: [error] there is no such plugin")
	f("crash", "tail-null", failed, "ended early; it printed: [error] out of luck")
	f("crash", "forward-null", failed, "before its input listened")
	f("lose", "tail-null", failed, "1800 of 2000 records arrived")
	f("lose", "tail-json-http", failed, "kagari: 200 missing, 0 duplicates")
	f("twice", "tail-json-http", failed, "kagari: 0 missing, 2000 duplicates")
}

func TestRunPrintsTableAndJSON(t *testing.T) {
	p := fake(t, "kagari", "ok")
	name := filepath.Join(t.TempDir(), "out.json")
	var out bytes.Buffer
	err := run(context.Background(), []string{"--bin", p.path, "--fluent-bit", "off", "--rows", "tail-null",
		"--records", "2000", "--runs", "1", "--json", name}, &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "tail, no parser → null") || !strings.Contains(out.String(), string(noRatio)) {
		t.Errorf("got %s", out.String())
	}
	if b, err := os.ReadFile(name); err != nil || !strings.Contains(string(b), `"kagari": "Fake v1.2.3"`) {
		t.Errorf("got %s, %v", b, err)
	}
}

func TestFlags(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		err := run(context.Background(), args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", args, err, want)
		}
	}
	f("--records 0", "--records", "0")
	f("--runs 0", "--runs", "0")
	f("--timeout", "--timeout", "0s")
	f("unexpected argument", "more")
	f("no row matches", "--rows", "x")
	f("find kagari", "--bin", filepath.Join(t.TempDir(), "none"))
	f("find fluent-bit", "--bin", fake(t, "kagari", "ok").path, "--fluent-bit", filepath.Join(t.TempDir(), "none"))
	f("not defined", "--nope")
}

func TestParsePeak(t *testing.T) {
	got, err := parsePeak([]byte("Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t  2048 kB\nVmRSS:\t 1 kB\n"))
	if err != nil || got != 2<<20 {
		t.Errorf("got %d, %v", got, err)
	}
	for _, bad := range []string{"", "VmHWM: x kB\n"} {
		if _, err := parsePeak([]byte(bad)); err == nil {
			t.Errorf("%q: want an error", bad)
		}
	}
}

func TestLastProblem(t *testing.T) {
	f := func(log, want string) {
		t.Helper()
		if got := lastProblem([]byte(log)); got != want {
			t.Errorf("%q: got %q, want %q", log, got, want)
		}
	}
	f("", "")
	f("banner\n\n[ERROR] no file\nbye\n", "[ERROR] no file")
	f("one\ntwo\n\n", "two")
}
