package wire

import (
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/internal/testbinary"
)

// TestMain runs cases four at a time unless -parallel says otherwise: they
// mostly wait. It fails if goroutines are left behind.
func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", "4"); err != nil {
			panic("BUG: " + err.Error())
		}
	}
	before := runtime.NumGoroutine()
	code := m.Run()
	for deadline := time.Now().Add(2 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			fmt.Fprintln(os.Stderr, "goroutines are left behind:")
			_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
			os.Exit(1)
		}
	}
	os.Exit(code)
}

// setup is what all cases share.
type setup struct {
	bin      string
	cert     tls.Certificate
	certFile string
}

// testBinary gives the program that KAGARI_TEST_BIN names, or builds ours.
func testBinary(t *testing.T) string {
	t.Helper()
	bin, err := testbinary.Path("KAGARI_TEST_BIN", func() (string, error) { return t.TempDir(), nil })
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// TestCases runs every case below cases/.
func TestCases(t *testing.T) {
	s := setup{bin: testBinary(t)}
	s.cert, s.certFile = certificate(t)
	files, err := filepath.Glob("cases/*/case.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		dir, err := filepath.Abs(filepath.Dir(file))
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			runCase(t, s, dir)
		})
	}
}

func runCase(t *testing.T, s setup, dir string) {
	c, want := loadCase(t, dir)
	if why := missing(c); why != "" {
		t.Skip(why)
	}
	j, err := newJudge(c)
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{t: t, c: c, bin: s.bin, dir: dir, work: t.TempDir()}
	r.prepare(s)
	r.run()
	got, err := j.calls(r.journal.messages)
	if err != nil {
		t.Fatal(err)
	}
	if c.Compare == "at_least" {
		excuse(want, got)
	}
	if found := differences(want, got); len(found) > 0 {
		t.Errorf("what came differs (- expected, + came)\n%s", strings.Join(found, "\n"))
	}
	if t.Failed() {
		r.explain()
	}
}
