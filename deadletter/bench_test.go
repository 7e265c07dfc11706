package deadletter_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/kagarilog/kagari/deadletter"
)

// BenchmarkPut writes letters with fsync, a thousand records in a chunk.
func BenchmarkPut(b *testing.B) {
	box := deadletter.New(b.TempDir(), 64<<20, nil)
	c := chunk("app", 1000, 0)
	cause := deadletter.Cause{Input: "tail.0", Output: "http.0", Reason: "retries_exhausted", Attempts: 2, Error: "503 Service Unavailable"}
	b.ReportAllocs()
	for b.Loop() {
		if kept, err := box.Put(c, cause); kept != 1000 || err != nil {
			b.Fatal(kept, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/letter")
	closeBox(b, box)
}

func BenchmarkRead(b *testing.B) {
	dir := b.TempDir()
	box := deadletter.New(dir, 0, nil)
	put(b, box, chunk("app", 1000, 0))
	closeBox(b, box)
	files, err := deadletter.Files(dir)
	if err != nil {
		b.Fatal(err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		n := 0
		for r := deadletter.NewReader(bytes.NewReader(data)); r.Next(); n++ {
		}
		if n != 1000 {
			b.Fatal(n)
		}
	}
}
