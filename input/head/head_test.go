package head

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "file", "/proc/uptime") }

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestContract(t *testing.T) {
	plugintest.Input(t, plugintest.InputSuite{Def: Def(), Open: func(t *testing.T) plugintest.Source {
		return plugintest.Source{Props: []string{"file", write(t, "text"), "interval_sec", "0", "interval_nsec", "10000000"}}
	}})
}

// first returns the first record that is made.
func first(t *testing.T, keysAndValues ...string) string {
	t.Helper()
	var em plugintest.Emitter
	in := plugintest.NewInput(t, Def(), plugintest.Env(t), append(keysAndValues, "interval_sec", "0", "interval_nsec", "1000000")...)
	r := plugintest.Run(t, in, &em)
	got := em.Wait(t, 1)[0].Record
	if err := r.Stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	return got
}

func TestRecords(t *testing.T) {
	path := write(t, "l one\nl two\nlast")
	long := write(t, strings.Repeat("x", 600)+"\ny\n")
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		if got := first(t, keysAndValues...); got != want {
			t.Errorf("with %q the record is %s, expected %s", keysAndValues, got, want)
		}
	}
	f(`{"head":"l one\nl two\nlast"}`, "file", path)
	f(`{"k":"l one\nl"}`, "file", path, "buf_size", "7", "key", "k")
	f(`{"head":"l one\nl two\n"}`, "file", path, "lines", "2")
	f(`{"head":"l one\nl two\nlast"}`, "file", path, "lines", "20")
	f(`{"head":"l one\n","path":"`+path+`"}`, "file", path, "lines", "1", "add_path", "on")
	f(`{"head":"`+strings.Repeat("x", 510)+`"}`, "file", long, "lines", "1")
	f(`{"head":"`+strings.Repeat("x", 600)+`\n"}`, "file", long, "lines", "2")
	f(`{"head":""}`, "file", write(t, ""))
	f(`{"head":""}`, "file", filepath.Join(t.TempDir(), "missing"))

	f(`{"line0":"l one\u0000","line1":"l two\u0000","line2":"last","line3":""}`, "file", path, "split_line", "on", "lines", "4")
	f(`{"path":"`+path+`","line0":"l one\u0000"}`, "file", path, "split_line", "on", "lines", "1", "add_path", "on")
	f(`{"line0":"`+strings.Repeat("x", 19)+`","line1":"`+strings.Repeat("x", 19)+`"}`,
		"file", long, "split_line", "on", "lines", "2", "buf_size", "20")
	if got := first(t, "file", path, "split_line", "on"); !strings.HasSuffix(got, `"line9":""}`) {
		t.Errorf("without lines the record is %s, expected ten of them", got)
	}
}

func TestAFolderCannotBeRead(t *testing.T) {
	in := plugintest.NewInput(t, Def(), plugintest.Env(t), "file", t.TempDir()).(*Input)
	if _, err := in.beginning(); err == nil {
		t.Error("reading a folder returned no error")
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
	f(`"file" is missing`)
	f("buf_size", "file", "x", "buf_size", "0")
	f("lines", "file", "x", "lines", "100000000")
}
