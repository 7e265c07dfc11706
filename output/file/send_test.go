//go:build unix

package file

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestContract(t *testing.T) {
	plugintest.Output(t, plugintest.OutputSuite{
		Def:        Def(),
		Behaviours: behaviours,
		Open: func(t *testing.T, b plugintest.Behaviour) plugintest.Destination {
			dir := t.TempDir()
			d := plugintest.Destination{
				Props: []string{"path", dir, "file", "out"},
				Delivered: func() string {
					var all strings.Builder
					for _, f := range tree(t, dir) {
						all.WriteString(read(t, dir, strings.TrimRight(f, "+")))
					}
					return all.String()
				},
			}
			switch b {
			case plugintest.Transient:
				// A folder stands where the file should be.
				block := filepath.Join(dir, "out")
				mustMkdir(t, block)
				d.Heal = func() { _ = os.Remove(block) }
			case plugintest.Partial:
				d.Props = []string{"path", dir, "file", "$log", "fallback_file", "f"}
				block := filepath.Join(dir, "mark-refuse-b")
				mustMkdir(t, block)
				d.Heal = func() { _ = os.Remove(block) }
			case plugintest.Slow:
				fullPipe(t, filepath.Join(dir, "out"))
			}
			return d
		},
	})
}

func mustMkdir(t testing.TB, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestAnUnreadableFolderIsAnErrorToRetry(t *testing.T) {
	if os.Getuid() == 0 {
		t.Log("root may read everything; only a path below a file is tried")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := plugintest.NewOutput(t, Def(), plugintest.Env(t), "path", filepath.Join(dir, "f"), "file", "o", "mkdir", "on")
	err := o.Send(t.Context(), plugintest.Chunk(t, "t", `{}`))
	var p *plugin.PermanentError
	if err == nil || errors.As(err, &p) {
		t.Errorf("Send returned %v", err)
	}
}

func TestFilesMayBeRenamedAndRemovedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	o := plugintest.NewOutput(t, Def(), plugintest.Env(t), "path", dir, "file", "o", "format", "plain")
	c := plugintest.Chunk(t, "t", `{"a":1}`)
	send(t, o, c)
	if err := os.Rename(filepath.Join(dir, "o"), filepath.Join(dir, "o.1")); err != nil {
		t.Fatal(err)
	}
	send(t, o, c)
	if a, b := read(t, dir, "o.1"), read(t, dir, "o"); a != "{\"a\":1}\n" || b != a {
		t.Errorf("the files hold %q and %q", a, b)
	}
}

func TestMetricsAreText(t *testing.T) {
	payload, err := proto.Marshal(&metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{
		ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: []*metricspb.Metric{{Name: "up",
			Data: &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: []*metricspb.NumberDataPoint{
				{TimeUnixNano: plugintest.At, Value: &metricspb.NumberDataPoint_AsDouble{AsDouble: 1}}}}}}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	f := func(file string, keysAndValues ...string) {
		t.Helper()
		dir := t.TempDir()
		o := plugintest.NewOutput(t, Def(), plugintest.Env(t), append(replaceDir(keysAndValues, dir), "path", dir)...)
		send(t, o, plugintest.MetricsChunk("m", payload))
		if got, want := read(t, dir, file), "2023-11-14T22:13:20.250000000Z up = 1\n"; got != want {
			t.Errorf("with %q the file %s holds %q, expected %q", keysAndValues, file, got, want)
		}
	}
	f("m")
	f("o", "file", "o", "format", "csv")
	// Metrics have no fields that a place could be made of.
	f("fb", "file", "$x", "fallback_path", "DIR", "fallback_file", "fb")

	o := plugintest.NewOutput(t, Def(), plugintest.Env(t), "path", t.TempDir())
	var p *plugin.PermanentError
	if err := o.Send(t.Context(), plugintest.MetricsChunk("m", []byte{0xff})); !errors.As(err, &p) {
		t.Errorf("Send of what are no metrics returned %v", err)
	}
}
