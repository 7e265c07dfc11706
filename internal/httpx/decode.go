package httpx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// RequestError says why a request is refused.
type RequestError struct {
	Status int    // of the answer
	Reason string // for the counter: a phrase with underscores
	Err    error
}

func (e *RequestError) Error() string { return e.Err.Error() }
func (e *RequestError) Unwrap() error { return e.Err }

func refuse(status int, reason, format string, args ...any) error {
	return &RequestError{Status: status, Reason: reason, Err: fmt.Errorf(format, args...)}
}

// buffers are the bodies of requests while they are read and decoded.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func getBuffer() *bytes.Buffer { return buffers.Get().(*bytes.Buffer) }

// putBuffer gives a buffer back; nil is allowed.
func putBuffer(b *bytes.Buffer) {
	if b == nil || b.Cap() > maxKept {
		return
	}
	b.Reset()
	buffers.Put(b)
}

var (
	gzipReaders = sync.Pool{New: func() any { return new(gzip.Reader) }}
	zstdReaders sync.Pool
)

// zstdWindow bounds the memory that a zstd frame can ask for, in bytes. It is
// what RFC 8878, section 3.1.1.1.2, recommends to support.
const zstdWindow = 8 << 20

// Decode appends src, decoded as the header Content-Encoding says, to dst,
// which grows to at most limit bytes. As in Fluent Bit the beginning of the
// header counts, and a body in an encoding that is not known, or that only
// claims to be gzip or zstd, is left as it is: what it hides fails to parse
// later. The error is a *RequestError.
func Decode(dst *bytes.Buffer, src []byte, encoding string, limit int64) error {
	return explainDecode(decode(dst, src, encoding, limit), encoding, limit)
}

func explainDecode(err error, encoding string, limit int64) error {
	switch {
	case err == nil:
		return nil
	case err == errTooLarge:
		return refuse(http.StatusRequestEntityTooLarge, "body_too_large", "the decoded body is larger than %d bytes", limit)
	}
	return refuse(http.StatusBadRequest, "malformed_compression", "decode the body (%s): %w", encoding, err)
}

// decodedSize is the number of bytes that Decode would append.
func decodedSize(src []byte, encoding string, limit int64) (int, error) {
	var n counter
	err := decode(&n, src, encoding, limit)
	return int(n), err
}

// counter counts what is written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// decode is Decode into any writer. The error is errTooLarge or that of the
// format.
func decode(dst io.Writer, src []byte, encoding string, limit int64) error {
	has := func(prefix string) bool {
		return len(encoding) >= len(prefix) && strings.EqualFold(encoding[:len(prefix)], prefix)
	}
	var err error
	switch {
	case has("gzip") && !bytes.HasPrefix(src, []byte{0x1f, 0x8b}), has("zstd") && !bytes.HasPrefix(src, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		err = copyLimited(dst, bytes.NewReader(src), limit)
	case has("gzip"), has("x-gzip"):
		r := gzipReaders.Get().(*gzip.Reader)
		if err = r.Reset(bytes.NewReader(src)); err == nil {
			err = copyLimited(dst, r, limit)
			_ = r.Close()
		}
		gzipReaders.Put(r)
	case has("zstd"):
		err = decodeZstd(dst, src, limit)
	case has("zlib"), has("deflate"):
		err = inflate(dst, src, limit)
	case has("snappy"):
		err = decodeSnappy(dst, src, limit)
	default:
		if err = errTooLarge; int64(len(src)) <= limit {
			_, err = dst.Write(src)
		}
	}
	return err
}

var errTooLarge = errors.New("the body is too large")

// copyLimited reads r to its end into dst, at most limit bytes.
func copyLimited(dst io.Writer, r io.Reader, limit int64) error {
	n, err := io.Copy(dst, io.LimitReader(r, limit+1))
	if n > limit {
		return errTooLarge
	}
	return err
}

func decodeZstd(dst io.Writer, src []byte, limit int64) error {
	r, _ := zstdReaders.Get().(*zstd.Decoder)
	if r == nil {
		var err error
		r, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			panic("BUG: make a zstd decoder: " + err.Error())
		}
	}
	defer zstdReaders.Put(r)
	if err := r.Reset(bytes.NewReader(src)); err != nil {
		return err
	}
	err := copyLimited(dst, r, limit)
	_ = r.Reset(nil) // lets go of src
	return err
}

// inflate reads deflate data with or without the zlib header: RFC 9110 wants
// it, but some senders leave it out.
func inflate(dst io.Writer, src []byte, limit int64) error {
	r, err := zlib.NewReader(bytes.NewReader(src))
	if errors.Is(err, zlib.ErrHeader) {
		r, err = flate.NewReader(bytes.NewReader(src)), nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	return copyLimited(dst, r, limit)
}

// snappyMagic starts the framed format (framing_format.txt of snappy).
const snappyMagic = "\xff\x06\x00\x00sNaPpY"

func decodeSnappy(dst io.Writer, src []byte, limit int64) error {
	if bytes.HasPrefix(src, []byte(snappyMagic)) {
		return copyLimited(dst, snappy.NewReader(bytes.NewReader(src)), limit)
	}
	n, err := snappy.DecodedLen(src)
	if err != nil {
		return err
	}
	if int64(n) > limit {
		return errTooLarge
	}
	// A block names its length in front; a false one must not cost memory. Snappy
	// copies at most 64 bytes for every two of input.
	if n > 64*len(src)+64 {
		return snappy.ErrCorrupt
	}
	out, err := snappy.Decode(nil, src)
	if err == nil {
		_, err = dst.Write(out)
	}
	return err
}
