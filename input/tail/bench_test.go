//go:build unix

package tail

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// benchLine is 293 bytes with its line feed.
const benchLine = `{"time":"1705307445","level":"info","method":"GET","path":"/api/v1/orders/8812734","status":200,"bytes":5120,"duration_ms":12.75,"client":"10.42.17.203","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Gecko","request_id":"7f3c1a52-9f0e-4b6e-8f55-0d9f3c1b7a11","n":1234567890}` + "\n"

// criLine is 293 bytes with its line feed, as benchLine, and dockerLine and
// firstLine are of about that size.
var (
	criLine    = "2024-01-15T08:30:45.123456789Z stdout F " + benchLine[40:]
	dockerLine = `{"log":"` + strings.Repeat("0123456789", 22) + `\n","stream":"stdout","time":"2024-01-15T08:30:45.123456789Z"}` + "\n"
	firstLine  = "Jan 15 " + benchLine
)

// counting takes batches and ends the run after so many events.
type counting struct {
	left   int
	cancel func()
}

func (c *counting) Emit(_ context.Context, b *event.Batch) error {
	c.left -= len(b.Events)
	b.Free()
	if c.left <= 0 {
		c.cancel()
	}
	return nil
}

func benchmark(b *testing.B, kv ...string) {
	if len(benchLine) != 293 {
		b.Fatalf("the line has %d bytes", len(benchLine))
	}
	benchmarkLine(b, benchLine, kv...)
}

func benchmarkLine(b *testing.B, line string, kv ...string) {
	const lines = 200_000
	path := filepath.Join(b.TempDir(), "a.log")
	if err := os.WriteFile(path, bytes.Repeat([]byte(line), lines), 0o644); err != nil {
		b.Fatal(err)
	}
	cfg := Def().Config().(*Config)
	_, ps := plugintest.Decode(Def())
	_ = ps
	r := &rig{}
	b.ReportAllocs()
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for b.Loop() {
		r.env = plugintest.Env(b)
		r.env.Tag = "t"
		r.newParsers()
		in := plugintest.NewInput(b, Def(), r.env, append([]string{"path", path, "read_from_head", "on", "file_cache_advise", "off"}, kv...)...)
		ctx, cancel := context.WithCancel(context.Background())
		if err := in.Run(ctx, &counting{lines, cancel}); err != nil && !errors.Is(err, plugin.ErrStop) {
			b.Fatal(err)
		}
		in.(*Input).Close()
	}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	cpu := float64(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano()) / 1e9
	b.ReportMetric(cpu/float64(b.N*lines)*1e6, "cpu-s/M")
	_ = cfg
}

func BenchmarkRaw(b *testing.B)      { benchmark(b) }
func BenchmarkKeys(b *testing.B)     { benchmark(b, "path_key", "file", "offset_key", "at") }
func BenchmarkJSON(b *testing.B)     { benchmark(b, "parser", "json") }
func BenchmarkCRI(b *testing.B)      { benchmarkLine(b, criLine, criMode...) }
func BenchmarkCRIKeys(b *testing.B)  { benchmarkLine(b, criLine, with(criMode, "path_key", "file")...) }
func BenchmarkDocker(b *testing.B)   { benchmarkLine(b, dockerLine, dockerMode...) }
func BenchmarkJSONKeys(b *testing.B) { benchmark(b, "parser", "json", "path_key", "file") }
