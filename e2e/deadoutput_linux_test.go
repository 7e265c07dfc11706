package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// receiver counts the records that are posted to it as JSON lines, by the
// number at their beginning.
type receiver struct {
	mu   sync.Mutex
	seen map[int]int
	bad  int
}

func (r *receiver) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.bad++
		return
	}
	for line := range bytes.Lines(body) {
		_, text, _ := bytes.Cut(line, []byte(`"log":"`))
		digits, _, _ := bytes.Cut(text, []byte(" "))
		n, err := strconv.Atoi(string(digits))
		if err != nil {
			r.bad++
			continue
		}
		r.seen[n]++
	}
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

// With an output that cannot be reached and a sender at full rate the process
// needs little memory and no more disk than it may: with storage in memory the
// sender has to wait at once, with storage on disk when the quota is used up.
// When the destination is back, all 200 MB arrive, each record once.
func TestADeadOutputAtFullRate(t *testing.T) {
	const (
		records = 200_000
		quota   = 48 << 20
		slack   = 6 << 20 // a batch, the heads of the chunks, and one being written
		// memory is the most that is needed, in MB: beside 16 MB of records in the
		// budget there are the bodies being sent, the binary, and what the garbage
		// collector has yet to collect.
		memory = 112
	)
	pad := bytes.Repeat([]byte("x"), 1000)
	f := func(name, storage string, wantTaken, mostTaken int64) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			in, out := freePort(t), freePort(t)
			r := watched(t, nil, "    Grace 5\n    scheduler.base 1\n    scheduler.cap 1\n    storage.path "+dir,
				fmt.Sprintf("[INPUT]\n    Name tcp\n    Listen 127.0.0.1\n    Port %s\n    Format none\n    Chunk_Size 64\n    storage.type %s\n"+
					"[OUTPUT]\n    Name http\n    Match *\n    Host 127.0.0.1\n    Port %s\n    Format json_lines\n    Retry_Limit no_limits\n    storage.total_limit_size %d\n",
					in, storage, out, quota))
			var sent atomic.Int64
			c := dial(t, "127.0.0.1:"+in)
			sender := make(chan error, 1)
			go func() {
				var b []byte
				for i := range records {
					b = append(append(strconv.AppendInt(b, int64(i), 10), ' '), pad...)
					b = append(b, '\n')
					if len(b) > 1<<16 || i == records-1 {
						n, err := c.Write(b)
						sent.Add(int64(n))
						if err != nil {
							sender <- err
							return
						}
						b = b[:0]
					}
				}
				sender <- c.Close()
			}()
			var onDisk int64
			for outage := time.Now(); time.Since(outage) < 12*time.Second; time.Sleep(100 * time.Millisecond) {
				onDisk = max(onDisk, used(t, dir))
			}
			taken := int64(r.counter("fluentbit_input_bytes_total", `name="tcp.0"`))
			t.Logf("in the outage: %d MB taken, %d MB on disk, %d MB of memory at most", taken>>20, onDisk>>20, r.peak())
			if taken < wantTaken || taken > mostTaken {
				t.Errorf("%d bytes were taken, want from %d to %d", taken, wantTaken, mostTaken)
			}
			if onDisk > quota+slack {
				t.Errorf("%d bytes were on disk, more than the quota of %d", onDisk, quota)
			}
			if r.counter("fluentbit_input_ingestion_paused", `name="tcp.0"`) != 1 {
				t.Error("the input is not said to be paused")
			}
			if left := r.counter("fluentbit_output_chunk_available_capacity_percent"); (left < 1) != (storage == "filesystem") {
				t.Errorf("%v%% of the quota are said to be left", left)
			}

			l, err := net.Listen("tcp", "127.0.0.1:"+out)
			if err != nil {
				t.Fatal(err)
			}
			got := &receiver{seen: map[int]int{}}
			server := &http.Server{Handler: got}
			go func() { _ = server.Serve(l) }()
			defer server.Close()
			for deadline := time.Now().Add(90 * time.Second); got.count() < records; time.Sleep(50 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d of %d records arrived, %d bytes were sent; the log:\n%s", got.count(), records, sent.Load(), r.log.String())
				}
			}
			if err := <-sender; err != nil {
				t.Error(err)
			}
			if mb := r.peak(); mb > memory {
				t.Errorf("the process needed %d MB, more than %d", mb, memory)
			} else {
				t.Logf("the process needed %d MB", mb)
			}
			r.stopWithin(5 * time.Second)
			for n, times := range got.seen {
				if n >= records || times != 1 {
					t.Errorf("record %d came %d times", n, times)
				}
			}
			if got.bad > 0 {
				t.Errorf("%d lines are not what was sent", got.bad)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "*", "*.chunk")); err != nil || len(left) > 0 {
				t.Errorf("left on disk: %q, %v", left, err)
			}
		})
	}
	f("memory", "memory", 8<<20, 24<<20)
	f("filesystem", "filesystem", 40<<20, quota+slack)
}

// used is the size of all files below a directory.
func used(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err != nil {
			return nil // It was there a moment ago.
		}
		if st, err := e.Info(); err == nil && st.Mode().IsRegular() {
			n += st.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
