package forward

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/kagarilog/kagari/internal/forwardproto"
)

// compression is how entries are packed.
type compression uint8

const (
	gzipKind compression = iota
	zstdKind
)

// maxWindow limits the memory of a zstd decoder, in bytes; it is what RFC 8878
// asks decoders to support.
const maxWindow = 8 << 20

var (
	gzipReaders = sync.Pool{New: func() any { return new(gzip.Reader) }}
	zstdReaders = sync.Pool{}
	packReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}
)

// unpacker reads compressed entries out of the packed bytes of a message and
// gives them through a stream of its own.
type unpacker struct {
	stream stream
	packed packedReader
	in     *bufio.Reader
	gz     *gzip.Reader
	zs     *zstd.Decoder
	total  int64 // bytes given
	max    int64
}

// packedReader reads from a limited stream.
type packedReader struct {
	in  *stream
	err error // why reading failed, if not because of the end
}

func (p *packedReader) Read(dst []byte) (int, error) {
	for len(p.in.window()) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		if err := p.in.fill(); err == errBlobEnd {
			return 0, io.EOF
		} else if err != nil {
			p.err = err
			return 0, err
		}
	}
	n := copy(dst, p.in.window())
	p.in.use(n)
	return n, nil
}

// unpacker starts to unpack what d.in is limited to. closeUnpacker must follow,
// also after an error.
func (d *decoder) unpacker(kind compression) (*unpacker, error) {
	if d.unpack == nil {
		d.unpack = new(unpacker)
	}
	u := d.unpack
	u.packed = packedReader{in: &d.in}
	u.in = packReaders.Get().(*bufio.Reader)
	u.in.Reset(&u.packed)
	u.total, u.max = 0, d.maxSize
	u.stream.src, u.stream.limit, u.stream.budget, u.stream.left = u, d.in.limit, d.in.budget, -1
	var err error
	switch kind {
	case gzipKind:
		// Fluentd joins members; the reader goes through all of them.
		u.gz = gzipReaders.Get().(*gzip.Reader)
		err = u.gz.Reset(u.in)
	case zstdKind:
		if u.zs, _ = zstdReaders.Get().(*zstd.Decoder); u.zs != nil {
			err = u.zs.Reset(u.in)
		} else {
			// With a concurrency of one nothing runs beside the caller.
			u.zs, err = zstd.NewReader(u.in, zstd.WithDecoderConcurrency(1),
				zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		}
	}
	if err != nil {
		err = u.explain(err)
		d.closeUnpacker()
		return nil, err
	}
	return u, nil
}

// closeUnpacker gives the unpacker's memory back.
func (d *decoder) closeUnpacker() {
	u := d.unpack
	u.stream.release()
	u.stream.src = nil
	u.in.Reset(nil)
	packReaders.Put(u.in)
	if u.gz != nil {
		gzipReaders.Put(u.gz)
	}
	if u.zs != nil && u.zs.Reset(nil) == nil {
		zstdReaders.Put(u.zs)
	}
	u.in, u.gz, u.zs, u.packed = nil, nil, nil, packedReader{}
}

// Read gives unpacked bytes.
func (u *unpacker) Read(dst []byte) (n int, err error) {
	if u.gz != nil {
		n, err = u.gz.Read(dst)
	} else {
		n, err = u.zs.Read(dst)
	}
	if u.total += int64(n); u.total > u.max {
		return 0, errSize
	}
	return n, err
}

// explain tells damaged data from a damaged connection.
func (u *unpacker) explain(err error) error {
	if u.packed.err != nil {
		return u.packed.err
	}
	var m *forwardproto.Malformed
	if errors.As(err, &m) || sinkFailed(err) {
		return err
	}
	return &forwardproto.Malformed{Reason: "invalid_compression", Text: fmt.Sprintf("unpack entries: %v", err)}
}
