package flowcounter

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func open(t *testing.T, env *plugin.Env, keysAndValues ...string) (*Output, *bytes.Buffer) {
	t.Helper()
	out, err := plugintest.TryOutput(Def(), env, keysAndValues...)
	if err != nil {
		t.Fatal(err)
	}
	buf := &bytes.Buffer{}
	o := out.(*Output)
	o.w = buf
	return o, buf
}

func send(t *testing.T, o *Output, ns ...int64) {
	t.Helper()
	var events []plugintest.Event
	for _, n := range ns {
		events = append(events, plugintest.Event{Time: n, Record: `{"a":1}`})
	}
	if err := o.Send(t.Context(), plugintest.ChunkOf(t, "t", events...)); err != nil {
		t.Fatal(err)
	}
}

// entry is the size of [[time, {}], {"a":1}].
const entry = 17

func TestPrintsACountWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now().Unix()
		o, buf := open(t, plugintest.Env(t), "unit", "minute")
		send(t, o, 0, 0, 0)
		if buf.Len() > 0 {
			t.Errorf("a line was printed before its time: %q", buf)
		}
		time.Sleep(90 * time.Second)
		send(t, o, 0)
		want := fmt.Sprintf(`[out_flowcounter] [%d, {"counts":3, "bytes":%d, "counts/minute":0, "bytes/minute":0 }]`+"\n"+
			`[out_flowcounter] [%d, {"counts":0, "bytes":0, "counts/minute":0, "bytes/minute":0 }]`+"\n",
			start, 3*entry, start+60)
		if buf.String() != want {
			t.Errorf("printed\n%s, expected\n%s", buf, want)
		}
	})
}

func TestPrintsWhatIsLeftAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, buf := open(t, plugintest.Env(t))
		send(t, o, 0, 0)
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(buf.String(), `{"counts":2, "bytes":34,`) {
			t.Errorf("printed %q", buf)
		}
	})
}

func TestAWrongUnitCountsByMinute(t *testing.T) {
	_, problems := plugintest.Decode(Def(), "unit", "fortnight")
	if problems.HasErrors() || len(problems) != 1 {
		t.Errorf("problems: %v, expected one warning", problems)
	}
	o, _ := open(t, plugintest.Env(t), "unit", "fortnight")
	if o.unit != "minute" || o.tick != 60 {
		t.Errorf("counts by %s of %d seconds", o.unit, o.tick)
	}
}

func TestEventTimesFarAheadPrintNoEndlessZeros(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env := plugintest.Env(t)
		o, buf := open(t, env, "unit", "second", "event_based", "true")
		now := time.Now()
		send(t, o, now.UnixNano(), now.Add(50*365*24*time.Hour).UnixNano())
		if n := strings.Count(buf.String(), "\n"); n > gapLimit+10 {
			t.Errorf("%d lines were printed", n)
		}
		send(t, o, now.UnixNano())
		if n := plugintest.Dropped(env, "out_of_range"); n != 1 {
			t.Errorf("%d records were counted as out of range, expected 1", n)
		}
	})
}
