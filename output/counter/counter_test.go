package counter

import (
	"bytes"
	"errors"
	"regexp"
	"testing"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func TestPrintsALineForEachChunk(t *testing.T) {
	var buf bytes.Buffer
	o := &Output{w: &buf}
	for _, records := range [][]string{{`{"a":1}`, `{"a":2}`, `{}`}, {`{"b":1}`}} {
		if err := o.Send(t.Context(), plugintest.Chunk(t, "t", records...)); err != nil {
			t.Fatal(err)
		}
	}
	want := `^\{"ts":\d+\.\d{6},"serialized_events":3,"log_records":3,"total":3\}\n` +
		`\{"ts":\d+\.\d{6},"serialized_events":1,"log_records":1,"total":1\}\n$`
	if !regexp.MustCompile(want).Match(buf.Bytes()) {
		t.Errorf("printed %q, expected a match of %q", buf.String(), want)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestAnErrorOfWritingIsReturned(t *testing.T) {
	if err := (&Output{w: full{}}).Send(t.Context(), plugintest.Chunk(t, "t", `{}`)); err == nil {
		t.Error("Send returned no error")
	}
}
