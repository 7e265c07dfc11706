package stdout

import (
	"bytes"
	"errors"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func TestLines(t *testing.T) {
	var buf bytes.Buffer
	f := &Filter{w: &buf}
	for range 2 {
		plugintest.Filtered(t, f, "app.x",
			plugintest.Event{Time: 1700000000_000000001, Record: `{"a":1,"b":["x",null]}`, Meta: `{"m":true}`},
			plugintest.Event{Time: 5_250000000, Record: `{}`})
	}
	const want = `[0] app.x: [1700000000.000000001, {"m"=>true}, {"a"=>1, "b"=>["x", nil]}]
[1] app.x: [5.250000000, {}, {}]
`
	if buf.String() != want+want {
		t.Errorf("printed\n%s", &buf)
	}
}

func TestRecordsPassUnchanged(t *testing.T) {
	f := &Filter{w: &bytes.Buffer{}}
	if got := plugintest.Filtered(t, f, "t", plugintest.Event{Record: `{"a":1}`}); len(got) != 1 || got[0].Record != `{"a":1}` {
		t.Errorf("left are %q", got)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestAFailedWriteIsAnError(t *testing.T) {
	f := &Filter{w: broken{}}
	batch := event.NewBatch("t")
	defer batch.Free()
	batch.Add(1)
	if err := f.Filter(t.Context(), batch); err == nil || len(batch.Events) != 1 {
		t.Errorf("error %v, %d events", err, len(batch.Events))
	}
}

func TestNothingIsAllocated(t *testing.T) {
	if n := plugintest.AllocsPerEvent(t, &Filter{w: &discard{}}, `{"a":1,"b":"x"}`); n > 0.01 {
		t.Errorf("%v allocations per event, expected none", n)
	}
}

type discard struct{}

func (*discard) Write(p []byte) (int, error) { return len(p), nil }
