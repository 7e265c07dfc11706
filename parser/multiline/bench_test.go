package multiline_test

import (
	"fmt"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/parser/multiline"
)

// bench feeds the lines again and again.
func bench(b *testing.B, lines []string, names ...string) {
	j, err := multiline.NewJoiner(builtin(names...), multiline.Options{BufferLimit: multiline.DefaultBufferLimit})
	if err != nil {
		b.Fatal(err)
	}
	s := j.NewStream()
	var raw [][]byte
	size := 0
	for _, line := range lines {
		raw = append(raw, []byte(line))
		size += len(line) + 1
	}
	b.SetBytes(int64(size / len(lines)))
	b.ReportAllocs()
	batch := event.NewBatch("t")
	for n := 0; b.Loop(); n++ {
		s.Line(batch, raw[n%len(raw)], int64(n), now)
		if len(batch.Events) >= 1000 {
			batch.Free()
			batch = event.NewBatch("t")
		}
	}
	batch.Free()
}

func criLines() (lines []string) {
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("2024-04-01T12:00:%02d.%09dZ stdout F %s", i/20, i*1_234_567%1e9, `10.1.2.3 - - "GET /shop/items?id=4711 HTTP/1.1" 200 5316 "-" "Mozilla/5.0 (X11; Linux x86_64)" 0.004`))
	}
	return lines
}

func dockerLines() (lines []string) {
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf(`{"log":"10.1.2.3 - - GET /shop/items?id=4711 HTTP/1.1 200 5316 Mozilla/5.0 (X11; Linux x86_64) 0.004\n","stream":"stdout","time":"2024-04-01T12:00:%02d.%09dZ"}`, i/20, i*1_234_567%1e9))
	}
	return lines
}

var javaTrace = []string{
	"java.lang.RuntimeException: shop closed",
	"    at com.example.Shop.open(Shop.java:12)",
	"    at com.example.Counter.open(Counter.java:120)",
	"    at com.example.Main.main(Main.java:5)",
	"Caused by: java.io.IOException: no key",
	"    at com.example.Door.unlock(Door.java:44)",
	"    ... 2 more",
	"2024-05-01 12:00:00.123 INFO [main] com.example.Shop - a normal line with some text in it",
	"2024-05-01 12:00:00.125 INFO [main] com.example.Shop - another normal line with some text in it",
	"2024-05-01 12:00:00.127 INFO [main] com.example.Shop - and one more",
}

func BenchmarkCRI(b *testing.B)       { bench(b, criLines(), "cri") }
func BenchmarkDockerCRI(b *testing.B) { bench(b, criLines(), "docker", "cri") }
func BenchmarkDocker(b *testing.B)    { bench(b, dockerLines(), "docker") }
func BenchmarkJava(b *testing.B)      { bench(b, javaTrace, "java") }
func BenchmarkCRIParts(b *testing.B) {
	lines := criLines()
	for i := range lines {
		if i%4 != 3 {
			lines[i] = lines[i][:38] + "P" + lines[i][39:]
		}
	}
	bench(b, lines, "cri")
}
