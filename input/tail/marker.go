package tail

import (
	"encoding/binary"
	"math/bits"
)

// markerSize is how many bytes in front of an offset are remembered, the size
// that Fluent Bit uses for its column offset_marker.
const markerSize = 32

// marker is the last bytes, at most markerSize, in front of an offset. If they
// have changed, the file was truncated and written anew, or is another one
// with the same inode.
type marker struct {
	n    int
	tail [markerSize]byte
}

// markerOf takes the marker from the end of b.
func markerOf(b []byte) (m marker) {
	m.n = copy(m.tail[:], b[max(0, len(b)-markerSize):])
	return m
}

func (m *marker) bytes() []byte { return m.tail[:m.n] }

// hash is the value of the column offset_marker: XXH3 with 64 bits and seed 0
// (xxHash specification, "XXH3 Algorithm"), which is 0 for no bytes.
func (m *marker) hash() int64 {
	b := m.bytes()
	r32 := func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(b[i:])) }
	r64 := func(i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }
	secret := func(i int) uint64 { return binary.LittleEndian.Uint64(xxhSecret[i:]) }
	n := len(b)
	var h uint64
	switch {
	case n == 0:
	case n <= 3:
		h = uint64(b[0])<<16 | uint64(b[n>>1])<<24 | uint64(b[n-1]) | uint64(n)<<8
		h ^= uint64(binary.LittleEndian.Uint32(xxhSecret[0:]) ^ binary.LittleEndian.Uint32(xxhSecret[4:]))
		h = (h ^ h>>33) * xxhPrime2
		h = (h ^ h>>29) * xxhPrime3
		h ^= h >> 32
	case n <= 8:
		h = r32(n-4) + r32(0)<<32
		h ^= secret(8) ^ secret(16)
		h ^= bits.RotateLeft64(h, 49) ^ bits.RotateLeft64(h, 24)
		h *= xxhMix
		h ^= h>>35 + uint64(n)
		h *= xxhMix
		h ^= h >> 28
	case n <= 16:
		low := r64(0) ^ secret(24) ^ secret(32)
		high := r64(n-8) ^ secret(40) ^ secret(48)
		h = xxhAvalanche(uint64(n) + bits.ReverseBytes64(low) + high + foldedProduct(low, high))
	default:
		h = uint64(n) * xxhPrime1
		h += foldedProduct(r64(0)^secret(0), r64(8)^secret(8))
		h += foldedProduct(r64(n-16)^secret(16), r64(n-8)^secret(24))
		h = xxhAvalanche(h)
	}
	return int64(h)
}

const (
	xxhPrime1 = 0x9E3779B185EBCA87
	xxhPrime2 = 0xC2B2AE3D27D4EB4F
	xxhPrime3 = 0x165667B19E3779F9
	xxhMix    = 0x9FB21C651E98DF25
)

func foldedProduct(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

func xxhAvalanche(h uint64) uint64 {
	h = (h ^ h>>37) * 0x165667919E3779F9
	return h ^ h>>32
}

// xxhSecret is the part of the default secret that inputs of up to 32 bytes use.
var xxhSecret = [56]byte{
	0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
	0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
	0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
	0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e,
}
