//go:build unix

package exec

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "command", "true") }

func TestContract(t *testing.T) {
	t.Run("interval", func(t *testing.T) {
		plugintest.Input(t, plugintest.InputSuite{Def: Def(), Open: func(*testing.T) plugintest.Source {
			return plugintest.Source{Props: []string{"command", "echo one", "interval_sec", "0", "interval_nsec", "20000000"}}
		}})
	})
	t.Run("oneshot", func(t *testing.T) {
		plugintest.Input(t, plugintest.InputSuite{Def: Def(), Once: true, Open: func(*testing.T) plugintest.Source {
			return plugintest.Source{Props: []string{"command", "echo one; sleep 1000", "oneshot", "on"}}
		}})
	})
}

// once runs a command once and returns the records.
func once(t *testing.T, env *plugin.Env, keysAndValues ...string) []string {
	t.Helper()
	plugintest.NoLeaks(t)
	var em plugintest.Emitter
	in := plugintest.NewInput(t, Def(), env, append(keysAndValues, "oneshot", "on")...)
	if err := plugintest.Run(t, in, &em).Wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	return em.Records()
}

func TestEveryLineIsARecord(t *testing.T) {
	f := func(command string, want ...string) {
		t.Helper()
		if got := once(t, plugintest.Env(t), "command", command); !slices.Equal(got, want) {
			t.Errorf("command %q gives %q, expected %q", command, got, want)
		}
	}
	f(`printf 'one\ntwo words\n\nlast'`, `{"exec":"one"}`, `{"exec":"two words"}`, `{"exec":""}`, `{"exec":"last"}`)
	f(`true`)
	f(`echo out; echo err >&2; echo in $((1+1))`, `{"exec":"out"}`, `{"exec":"in 2"}`)
	f(`printf 'a\0b\r\n'`, `{"exec":"a\u0000b\r"}`)
	f(`/nonexistent/command 2>/dev/null`)
}

func TestLongLinesAreCut(t *testing.T) {
	long := strings.Repeat("x", 99)
	got := once(t, plugintest.Env(t), "command", "printf "+long+"yy'\n'"+long+"'\n'z", "buf_size", "100")
	want := []string{`{"exec":"` + long + `"}`, `{"exec":"yy"}`, `{"exec":"` + long + `"}`, `{"exec":""}`, `{"exec":"z"}`}
	if !slices.Equal(got, want) {
		t.Errorf("the records are %q, expected %q", got, want)
	}
}

// pairs parses "key value".
type pairs struct{}

func (pairs) Parse(line []byte, e *event.Event) bool {
	k, v, ok := bytes.Cut(line, []byte(" "))
	if ok {
		e.SetTime(time.Unix(5, 0))
		b := e.Batch()
		e.SetFields([]event.Field{{Key: b.Text(k), Val: b.Text(v)}})
	}
	return ok
}

func TestParser(t *testing.T) {
	env := plugintest.Env(t)
	env.Parser = func(name string) (plugin.Parser, error) {
		if name != "p" {
			return nil, fmt.Errorf("parser %q is not defined", name)
		}
		return pairs{}, nil
	}
	got := once(t, env, "command", `printf 'a 1\nbroken\nb 2'`, "parser", "p")
	if want := []string{`{"a":"1"}`, `{"b":"2"}`}; !slices.Equal(got, want) {
		t.Errorf("the records are %q, expected %q", got, want)
	}
	if n := plugintest.Rejected(env, "parse_failed"); n != 1 {
		t.Errorf("%d lines were counted as rejected, expected 1", n)
	}
	// Fluent Bit only complains about a parser that does not exist.
	if got := once(t, env, "command", "echo a 1", "parser", "q"); !slices.Equal(got, []string{`{"exec":"a 1"}`}) {
		t.Errorf("without its parser the records are %q", got)
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		_, err := plugintest.TryInput(Def(), plugintest.Env(t), keysAndValues...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, expected one with %q", keysAndValues, err, want)
		}
	}
	f(`"command" is missing`)
	f("command is empty", "command", "")
	f("needs exit_after_oneshot", "command", "true", "propagate_exit_code", "on")
	f("buf_size", "command", "true", "buf_size", "1")
	f("not a size", "command", "true", "buf_size", "big")
}

func TestTheProcessEndsWithTheCommand(t *testing.T) {
	f := func(want int, keysAndValues ...string) {
		t.Helper()
		env := plugintest.Env(t)
		var codes []int
		env.Stop = func(code int) { codes = append(codes, code) }
		in := plugintest.NewInput(t, Def(), env, keysAndValues...)
		if err := plugintest.Run(t, in, &plugintest.Emitter{}).Wait(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if !slices.Equal(codes, []int{want}) {
			t.Errorf("with %q the process ends with %v, expected %d", keysAndValues, codes, want)
		}
	}
	f(0, "command", "exit 3", "exit_after_oneshot", "on")
	f(3, "command", "exit 3", "exit_after_oneshot", "on", "propagate_exit_code", "on")
	f(137, "command", "kill -9 $$", "exit_after_oneshot", "on", "propagate_exit_code", "on")
	f(127, "command", "/nonexistent 2>/dev/null", "exit_after_oneshot", "on", "propagate_exit_code", "on")
}

func TestOutputIsEmittedWhileTheCommandRuns(t *testing.T) {
	plugintest.NoLeaks(t)
	var em plugintest.Emitter
	in := plugintest.NewInput(t, Def(), plugintest.Env(t), "command", "echo early; exec sleep 1000", "oneshot", "on")
	r := plugintest.Run(t, in, &em)
	em.Wait(t, 1)
	if err := r.Stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestOutputThatIsNotTakenAtTheEndIsCounted(t *testing.T) {
	env := plugintest.Env(t)
	var em plugintest.Emitter
	em.Block()
	r := plugintest.Run(t, plugintest.NewInput(t, Def(), env, "command", "echo one; echo two", "oneshot", "on"), &em)
	time.Sleep(200 * time.Millisecond)
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := plugintest.Rejected(env, "not_taken"); n < 1 || n > 2 {
		t.Errorf("counters: %v, want not_taken", plugintest.Counters(env))
	}
}

func TestTheCommandAndItsChildrenAreStopped(t *testing.T) {
	plugintest.NoLeaks(t)
	dir := t.TempDir()
	// Both ignore SIGTERM, and the child keeps the pipe open.
	command := fmt.Sprintf(`trap '' TERM; sleep 1000 & echo $! >%[1]s/child; echo up; while :; do sleep 1; done`, dir)
	var em plugintest.Emitter
	r := plugintest.Run(t, plugintest.NewInput(t, Def(), plugintest.Env(t), "command", command, "oneshot", "on"), &em)
	em.Wait(t, 1)
	begin := time.Now()
	if err := r.Stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if d := time.Since(begin); d > 2*patience+5*time.Second {
		t.Errorf("it took %v to stop the command", d)
	}
	pid, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(plugintest.Patience); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return // gone, or dead and waiting to be noticed
		}
		if time.Now().After(deadline) {
			t.Fatal("the child of the command still runs")
		}
	}
}
