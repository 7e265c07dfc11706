package wire

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// maxBody bounds what a server takes in one request, before and after
// decompression.
const maxBody = 64 << 20

// decompress undoes a compression by its name in Content-Encoding or in the
// option "compressed" of the forward protocol; others leave b as it is.
func decompress(name string, b []byte) ([]byte, error) {
	switch name {
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(b)) // takes several members
		if err != nil {
			return nil, err
		}
		return readBounded(r)
	case "deflate", "zlib":
		r, err := zlib.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		return readBounded(r)
	case "zstd":
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBody))
		if err != nil {
			return nil, err
		}
		defer d.Close()
		return d.DecodeAll(b, nil)
	case "snappy":
		if n, err := snappy.DecodedLen(b); err != nil || n > maxBody {
			return nil, errors.Join(err, errors.New("not a snappy block of bearable size"))
		}
		return snappy.Decode(nil, b)
	}
	return b, nil
}

func readBounded(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	if err == nil && len(b) > maxBody {
		err = errors.New("more than 64 MiB")
	}
	return b, err
}
