package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// folder makes a directory where a file is expected and returns both paths.
func folder(t *testing.T) (dir, wrong string) {
	t.Helper()
	dir = t.TempDir()
	wrong = filepath.Join(dir, "wrong.log")
	if err := os.Mkdir(wrong, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir, wrong
}

const dummyToFile = "[INPUT]\n    Name dummy\n    Samples 1\n[OUTPUT]\n    Name file\n    Match *\n    Path DIR\n    File out\n"

// A directory in the place of a file that is needed refuses the start, and the
// message names it.
func TestDirectoriesThatRefuseTheStart(t *testing.T) {
	f := func(name, config string, args ...string) {
		t.Run(name, func(t *testing.T) {
			dir, wrong := folder(t)
			fill := strings.NewReplacer("DIR", dir, "WRONG", wrong).Replace
			args := append([]string(nil), args...)
			for i := range args {
				args[i] = fill(args[i])
			}
			if config != "" {
				args = append([]string{"-c", write(t, dir, "kagari.conf", fill(config))}, args...)
			}
			r := launch(t, nil, args...)
			select {
			case <-r.ended:
			case <-time.After(10 * time.Second):
				t.Fatalf("the router runs; its log:\n%s", r.log.String())
			}
			if code := r.cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("it ended with %d, want 1", code)
			}
			if !strings.Contains(r.log.String(), wrong) {
				t.Errorf("the message does not name %s:\n%s", wrong, r.log.String())
			}
		})
	}
	f("configuration", "", "-c", "WRONG")
	f("configuration in YAML", "", "-c", "WRONG/")
	f("log file", "[SERVICE]\n    Log_File WRONG\n"+dummyToFile)
	f("log file by flag", dummyToFile, "-l", "WRONG")
	f("offsets", "[INPUT]\n    Name tail\n    Path DIR/*.txt\n    DB WRONG\n[OUTPUT]\n    Name null\n    Match *\n")
	f("socket", "[INPUT]\n    Name forward\n    Unix_Path WRONG\n[OUTPUT]\n    Name null\n    Match *\n")
	f("certificate", "[INPUT]\n    Name tcp\n    Listen 127.0.0.1\n    Port 0\n    tls on\n    tls.crt_file WRONG\n    tls.key_file WRONG\n[OUTPUT]\n    Name null\n    Match *\n")
}

// A directory in the place of a file that the rest can do without is named in
// the log, and the rest goes on.
func TestDirectoriesThatOthersGoOnBeside(t *testing.T) {
	f := func(name, config, wantLevel string) {
		t.Run(name, func(t *testing.T) {
			dir, wrong := folder(t)
			write(t, dir, "good.log", "a line\n")
			r := start(t, strings.NewReplacer("DIR", dir, "WRONG", wrong).Replace("[SERVICE]\n    Flush 0.1\n    Grace 1\n"+config))
			named := func() bool {
				for line := range strings.Lines(r.log.String()) {
					if strings.Contains(line, wrong) && strings.Contains(line, wantLevel) {
						return true
					}
				}
				return false
			}
			waitFor(t, "a record", func() bool { return count(filepath.Join(dir, "out")) > 0 })
			for deadline := time.Now().Add(10 * time.Second); wantLevel != "" && !named(); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("no message with %q names %s:\n%s", wantLevel, wrong, r.log.String())
				}
			}
			r.stop()
		})
	}
	f("parsers", "    Parsers_File WRONG\n"+dummyToFile, "warn")
	f("included file", "@INCLUDE WRONG\n"+dummyToFile, "warn")
	f("followed file", "[INPUT]\n    Name tail\n    Path WRONG,DIR/good.log\n    Read_from_Head on\n"+dummyToFile, "warn")
	f("followed files", "[INPUT]\n    Name tail\n    Path DIR/*.log\n    Read_from_Head on\n[OUTPUT]\n    Name file\n    Match *\n    Path DIR\n    File out\n", "")
	f("file of an output", "[OUTPUT]\n    Name file\n    Match *\n    File WRONG\n"+dummyToFile, "warn")
	f("file of another input", "[INPUT]\n    Name head\n    File WRONG\n"+dummyToFile, "error")
}
