package httpx

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines is JSON as it is sent, of about n bytes.
func lines(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"date":1700000%03d.%06d,"level":"info","msg":"request handled in %d ms","path":"/api/v1/users/%d","status":200,"request_id":"%016x"}`+"\n",
			i%1000, i*7919%1000000, i*31%900, i*17%10000, uint64(i)*0x9E3779B97F4A7C15)
	}
	return b.Bytes()
}

var encodings = []Encoding{Identity, Gzip, Zstd, Snappy, Deflate}

func TestBodiesCanBeDecoded(t *testing.T) {
	for _, e := range encodings {
		for _, size := range []int{0, 1, 1000, 1 << 20} {
			in := lines(size)[:size]
			b := NewBody(e)
			for p := in; ; { // in pieces, as encoders write
				n := min(len(p), 10_000)
				if _, err := b.Write(p[:n]); err != nil {
					t.Fatal(err)
				}
				if p = p[n:]; len(p) == 0 {
					break
				}
			}
			if b.Written() != int64(size) {
				t.Errorf("%s: Written is %d, want %d", e, b.Written(), size)
			}
			var out bytes.Buffer
			if err := Decode(&out, b.Bytes(), string(e), 1<<20); err != nil {
				t.Errorf("%s, %d bytes: %v", e, size, err)
			}
			if !bytes.Equal(out.Bytes(), in) {
				t.Errorf("%s: %d bytes came back as %d", e, size, out.Len())
			}
			b.Free()
		}
	}
}

func TestGzipIsReadByTheStandardLibrary(t *testing.T) {
	b := NewBody(Gzip)
	defer b.Free()
	in := lines(300_000)
	_, _ = b.Write(in)
	r, err := gzip.NewReader(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := io.ReadAll(r); err != nil || !bytes.Equal(out, in) {
		t.Errorf("%d bytes came back as %d, %v", len(in), len(out), err)
	}
}

func TestDecodeReadsWhatSendersSend(t *testing.T) {
	want := "hello hello hello"
	f := func(encoding string, body []byte) {
		t.Helper()
		var out bytes.Buffer
		if err := Decode(&out, body, encoding, 100); err != nil || out.String() != want {
			t.Errorf("%s: got %q, %v", encoding, out.String(), err)
		}
	}
	var gz bytes.Buffer
	for _, part := range []string{"hello ", "hello hello"} { // members in a row are one text
		w := gzip.NewWriter(&gz)
		_, _ = io.WriteString(w, part)
		w.Close()
	}
	f("gzip", gz.Bytes())
	f("GZIP, x", gz.Bytes())
	f("x-gzip", gz.Bytes())
	var raw bytes.Buffer
	fw, _ := flate.NewWriter(&raw, 1)
	_, _ = io.WriteString(fw, want)
	fw.Close()
	f("deflate", raw.Bytes())
	var framed bytes.Buffer
	sw := snappy.NewBufferedWriter(&framed)
	_, _ = io.WriteString(sw, want)
	sw.Close()
	f("snappy", framed.Bytes())
	f("snappy", snappy.Encode(nil, []byte(want)))
	f("br", []byte(want)) // not known, so left as it is
	f("gzip", []byte(want))
	f("zstd", []byte(want))
}

func TestBombsAreRefused(t *testing.T) {
	zeros := make([]byte, 50<<20)
	f := func(encoding string, body []byte, status int) {
		t.Helper()
		var out bytes.Buffer
		err := Decode(&out, body, encoding, 1<<20)
		var re *RequestError
		if !errors.As(err, &re) || re.Status != status {
			t.Errorf("%s: got %v, want status %d", encoding, err, status)
		}
		if out.Cap() > 4<<20 {
			t.Errorf("%s: the buffer grew to %d bytes", encoding, out.Cap())
		}
	}
	for _, e := range encodings {
		b := NewBody(e)
		_, _ = b.Write(zeros)
		f(string(e), b.Bytes(), http.StatusRequestEntityTooLarge)
		b.Free()
	}
	// A snappy block that claims a gigabyte, and a zstd frame with a huge window.
	f("snappy", []byte{0x80, 0x80, 0x80, 0x80, 0x04, 0, 0}, http.StatusRequestEntityTooLarge)
	f("snappy", []byte{0x80, 0x80, 0x20, 0}, http.StatusBadRequest)
	var wide bytes.Buffer
	zw, _ := zstd.NewWriter(&wide, zstd.WithWindowSize(64<<20))
	_, _ = zw.Write(zeros[:1000])
	_ = zw.Flush()
	_, _ = zw.Write(zeros[:1000])
	zw.Close()
	f("zstd", wide.Bytes(), http.StatusBadRequest)
	f("gzip", []byte("\x1f\x8bnonsense"), http.StatusBadRequest)
	f("zstd", []byte("\x28\xb5\x2f\xfdnonsense"), http.StatusBadRequest)
	for _, e := range []string{"deflate", "zlib", "snappy"} {
		f(e, []byte("\xffnonsense"), http.StatusBadRequest)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := func(text string, want time.Duration, ok bool) {
		t.Helper()
		got, gotOK := RetryAfter(http.Header{"Retry-After": {text}}, now)
		if got != want || gotOK != ok {
			t.Errorf("%q: got %v, %v, want %v, %v", text, got, gotOK, want, ok)
		}
	}
	f("", 0, false)
	f("soon", 0, false)
	f("-1", 0, false)
	f("7", 7*time.Second, true)
	f("0", 0, true)
	f("1.5", 1500*time.Millisecond, true)
	f("99999999999999", maxRetryAfter, true)
	f("Fri, 02 Jan 2026 03:04:15 GMT", 10*time.Second, true)
	f("Fri, 02 Jan 2026 03:04:00 GMT", 0, true)
	f("Fri, 02 Jan 2099 03:04:00 GMT", maxRetryAfter, true)
}

func TestParseEncoding(t *testing.T) {
	if e, err := ParseEncoding("GZip", Gzip, Zstd); e != Gzip || err != nil {
		t.Errorf("got %q, %v", e, err)
	}
	if _, err := ParseEncoding("lz4", Gzip, Zstd); err == nil || !strings.Contains(err.Error(), "gzip, zstd") {
		t.Errorf("got %v", err)
	}
}

func TestBodyDoesNotAllocate(t *testing.T) {
	in := lines(256 << 10)
	for _, e := range encodings {
		got := testing.AllocsPerRun(20, func() {
			b := NewBody(e)
			_, _ = b.Write(in)
			b.Bytes()
			b.Free()
		})
		if got > 3 && !raceEnabled { // the pools may be emptied at any time
			t.Errorf("%s: %v allocations for each body", e, got)
		}
	}
}

func BenchmarkBody(b *testing.B) {
	in := lines(2 << 20)
	for _, e := range encodings {
		b.Run(string("encoding="+e), func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			var n int
			for b.Loop() {
				body := NewBody(e)
				for p := in; len(p) > 0; p = p[min(len(p), 64<<10):] {
					_, _ = body.Write(p[:min(len(p), 64<<10)])
				}
				n = len(body.Bytes())
				body.Free()
			}
			b.ReportMetric(float64(len(in))/float64(n), "ratio")
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range encodings {
		b := NewBody(e)
		_, _ = b.Write(lines(500))
		f.Add(bytes.Clone(b.Bytes()), string(e))
		b.Free()
	}
	f.Fuzz(func(t *testing.T, body []byte, encoding string) {
		var out bytes.Buffer
		err := Decode(&out, body, encoding, 64<<10)
		var re *RequestError
		if err != nil && !errors.As(err, &re) {
			t.Errorf("%T is no *RequestError", err)
		}
		if err == nil && out.Len() > 64<<10 {
			t.Errorf("%d bytes are over the limit", out.Len())
		}
	})
}
