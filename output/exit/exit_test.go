package exit

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

// stopsAt sends chunks of two records, a second between them, and returns the
// number of the chunk at which the process was told to end, 0 for never.
func stopsAt(t *testing.T, chunks int, keysAndValues ...string) (at int) {
	synctest.Test(t, func(t *testing.T) {
		env := plugintest.Env(t)
		sent := 0
		env.Stop = func(code int) {
			if at != 0 {
				t.Error("the process was told to end twice")
			}
			if code != 0 {
				t.Errorf("the exit code is %d", code)
			}
			at = sent
		}
		out, err := plugintest.TryOutput(Def(), env, keysAndValues...)
		if err != nil {
			t.Fatal(err)
		}
		for sent = 1; sent <= chunks; sent++ {
			if err := out.Send(t.Context(), plugintest.Chunk(t, "t", `{"a":1}`, `{"a":2}`)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
	})
	return at
}

func TestEndsTheProcess(t *testing.T) {
	f := func(want int, keysAndValues ...string) {
		t.Helper()
		if got := stopsAt(t, 6, keysAndValues...); got != want {
			t.Errorf("with %q the process ends at chunk %d, expected %d", keysAndValues, got, want)
		}
	}
	f(1)
	f(3, "flush_count", "3")
	f(1, "flush_count", "0")
	f(2, "record_count", "3")
	f(2, "record_count", "4")
	f(0, "record_count", "13")
	f(5, "time_count", "3")
	f(2, "time_count", "3", "flush_count", "2")
}
