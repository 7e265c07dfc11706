package cpu

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func TestContract(t *testing.T) {
	for name, props := range map[string][]string{
		"machine": nil,
		"process": {"pid", strconv.Itoa(os.Getpid())},
	} {
		t.Run(name, func(t *testing.T) {
			plugintest.Input(t, plugintest.InputSuite{Def: Def(), Open: func(*testing.T) plugintest.Source {
				return plugintest.Source{Props: append(props, "interval_sec", "0", "interval_nsec", "10000000")}
			}})
		})
	}
}

// proc makes a folder like /proc with these lines of stat.
func proc(t *testing.T, stat string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(stat), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOST_PROC", dir)
}

func TestPercentagesAreThoseOfFluentBit(t *testing.T) {
	in := plugintest.NewInput(t, Def(), plugintest.Env(t), "interval_sec", "2").(*Input)
	read := func(stat string) []ticks {
		proc(t, stat)
		all, err := in.read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := read("cpu  1000 100 500 9000 10 0 0 0 0 0\ncpu0 600 50 300 4500 5 0 0 0 0 0\ncpu1 400 50 200 4500 5 0 0 0 0 0\n")
	now := read("cpu  1060 110 515 9000 10 0 0 0 0 0\ncpu0 650 50 310 4500 5 0 0 0 0 0\ncpu1 410 60 205 4500 5 0 0 0 0 0\n")
	e := event.NewBatch("t").Add(0)
	in.fill(e, before, now)
	want := `{"cpu_p":21.25,"user_p":17.5,"system_p":3.75,` +
		`"cpu0.p_cpu":30.0,"cpu0.p_user":25.0,"cpu0.p_system":5.0,` +
		`"cpu1.p_cpu":12.5,"cpu1.p_user":10.0,"cpu1.p_system":2.5}`
	if got := plugintest.JSON(e.Record()); got != want {
		t.Errorf("the record is %s, expected %s", got, want)
	}
	// A processor was switched on.
	more := read("cpu  1060 110 515 9000 10 0 0 0 0 0\ncpu0 1 1 1 1 1 0 0 0 0 0\ncpu1 1 1 1 1 1 0 0 0 0 0\ncpu2 1 1 1 1 1 0 0 0 0 0\n")
	e = event.NewBatch("t").Add(0)
	in.fill(e, now, more)
	if got := plugintest.JSON(e.Record()); !strings.HasPrefix(got, `{"cpu_p":0.0,`) || !strings.Contains(got, `"cpu2.p_system":0.0`) {
		t.Errorf("after a change of the processors the record is %s", got)
	}
}

func TestAProcessThatIsNotThereIsAnError(t *testing.T) {
	in := plugintest.NewInput(t, Def(), plugintest.Env(t), "pid", "1999999999")
	if err := in.Run(t.Context(), &plugintest.Emitter{}); err == nil {
		t.Error("Run returned no error")
	}
}

var _ plugin.InputConfig = (*Config)(nil)
