package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
)

func startSink(t *testing.T, n int) *sink {
	t.Helper()
	s, err := newSink(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close() })
	return s
}

// send posts a body and returns status and answer.
func send(t *testing.T, s *sink, path, body string, compress bool) (int, string) {
	t.Helper()
	var b bytes.Buffer
	if compress {
		w := gzip.NewWriter(&b)
		io.WriteString(w, body)
		w.Close()
	} else {
		b.WriteString(body)
	}
	req, err := http.NewRequest(http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d%s", s.port(), path), &b)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	if compress {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func TestSinkCounts(t *testing.T) {
	s := startSink(t, 100)
	records := func(from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, `{"date":1.5,"seq":%d,"log":"\"seq\":%d"}`+"\n", firstSeq+i, firstSeq)
		}
		return b.String()
	}
	f := func(path, body string, compress bool, status, missing, duplicates, strange int) {
		t.Helper()
		got, answer := send(t, s, path, body, compress)
		if got != status {
			t.Fatalf("got status %d %s, want %d", got, answer, status)
		}
		if m, d, x := s.missing(), int(s.duplicates.Load()), int(s.strange.Load()); m != missing || d != duplicates || x != strange {
			t.Fatalf("got %d missing, %d duplicates, %d strange, want %d, %d, %d", m, d, x, missing, duplicates, strange)
		}
	}
	f("/logs", records(0, 40), true, 200, 60, 0, 0)
	f("/logs", "["+records(40, 60)+"]", false, 200, 40, 0, 0)
	f("/_bulk", records(50, 61), true, 200, 39, 10, 0)
	f("/api/v2/logs", records(99, 101), false, 202, 38, 10, 1)
	f("/logs", `{"seq":12}`, false, 200, 38, 10, 2)
	select {
	case <-s.complete:
		t.Fatal("complete with records missing")
	default:
	}
	f("/logs", records(61, 99), true, 200, 0, 10, 2)
	select {
	case <-s.complete:
	default:
		t.Fatal("not complete with all records")
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

func TestSinkAnswersBulk(t *testing.T) {
	s := startSink(t, 1)
	if _, answer := send(t, s, "/_bulk", `{"seq":1000000000}`, false); !strings.Contains(answer, `"errors":false`) {
		t.Errorf("got %s", answer)
	}
}

func TestSinkRefuses(t *testing.T) {
	f := func(body, encoding, want string) {
		t.Helper()
		s := startSink(t, 1)
		req, err := http.NewRequest(http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/logs", s.port()), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Close = true
		req.Header.Set("Content-Encoding", encoding)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("got status %d", resp.StatusCode)
		}
		if err := s.close(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	f(`{"log":"x"}`, "", "no records")
	f("not gzip", "gzip", "open gzip")
	f("x", "zstd", "content encoding")
}

func TestSeenCountsOnceFromManyGoroutines(t *testing.T) {
	const n, workers = 10_000, 4
	s := newSeen(n)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range n {
				s.add(firstSeq + i)
			}
		})
	}
	wg.Wait()
	if s.missing() != 0 || s.unique.Load() != n || s.duplicates.Load() != n*(workers-1) {
		t.Errorf("got %d missing, %d unique, %d duplicates", s.missing(), s.unique.Load(), s.duplicates.Load())
	}
}

func TestSeenAllocatesNothing(t *testing.T) {
	s := newSeen(10)
	body := []byte(`[{"seq":1000000001,"a":1},{"b":2,"seq":1000000002}]`)
	if n := testing.AllocsPerRun(100, func() {
		if s.addAll(body) != 2 {
			t.Fatal("want two records")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
