package event

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"sync"
)

// Maps may hold a key more than once: filters append without looking. JSON text
// must not, so the last entry of each key is the one that is written. Looking
// for duplicates must cost next to nothing where there are none, and no more
// than linear time on a hostile map:
//
//   - Up to smallMap entries, a bitmap of key hashes says almost always that a
//     key is new. If it does not, the keys written so far are compared, and the
//     text of an earlier entry with the same key is taken out again. (Writing
//     the map anew instead would take time exponential in its depth.)
//   - Larger maps are walked once in front, with a hash table.

const smallMap = 32

// appendMapText appends the map at the start of b and returns what follows it.
func appendMapText(dst, b []byte, depth int, o JSONOptions) (out, rest []byte) {
	n, b, err := ReadMapHeader(b)
	if err != nil || depth >= MaxDepth {
		return append(dst, "null"...), nil
	}
	if n > smallMap || len(b) > 1<<26 {
		return appendLargeMapText(dst, b, n, depth, o)
	}
	dst = append(dst, '{')
	var (
		seen [8]uint64       // Bitmap of hashes of the keys so far.
		keys [smallMap]int32 // Where they are in src.
		text [smallMap]int32 // Where their entries start in dst, behind base.
		src  = b
		base = len(dst)
	)
	for i := range n {
		keys[i], text[i] = int32(len(src)-len(b)), int32(len(dst)-base)
		if key, rest, ok := stringKey(b); ok {
			h := smallHash(key)
			if word, bit := &seen[h>>6&7], uint64(1)<<(h&63); *word&bit == 0 {
				*word |= bit
			} else {
				dst = dropEarlier(dst, base, src, key, keys[:i], text[:i+1])
			}
			dst, b = appendQuoted(dst, key, o), rest
		} else {
			dst, b = appendKeyText(dst, b, depth+1, o)
		}
		dst = append(dst, ':')
		dst, b = appendValueText(dst, b, depth+1, o)
		dst = append(dst, ',')
		if b == nil {
			break
		}
	}
	return closeText(dst, '{', '}'), b
}

// stringKey splits the string at the start of b, if it is one, off b and
// returns its payload.
func stringKey(b []byte) (key, rest []byte, ok bool) {
	if len(b) == 0 || b[0]&0xe0 != 0xa0 {
		return longStringKey(b)
	}
	end := 1 + int(b[0]&0x1f)
	if end > len(b) {
		return nil, nil, false
	}
	return b[1:end], b[end:], true
}

func longStringKey(b []byte) (key, rest []byte, ok bool) {
	if len(b) == 0 || leads[b[0]].kind != KindString {
		return nil, nil, false
	}
	if key, ok = Value(b).longStr(); !ok {
		return nil, nil, false
	}
	return key, b[1+int(leads[b[0]].width)+len(key):], true
}

// smallHash returns nine bits that depend on the length and on the first and
// last eight bytes of key.
func smallHash(key []byte) uint64 {
	var h uint64
	switch n := len(key); {
	case n >= 8:
		h = binary.LittleEndian.Uint64(key) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(key[n-8:]), 29)
	case n >= 4:
		h = uint64(binary.LittleEndian.Uint32(key)) | uint64(binary.LittleEndian.Uint32(key[n-4:]))<<32
	case n > 0:
		h = uint64(key[0]) | uint64(key[n>>1])<<8 | uint64(key[n-1])<<16
	}
	return (h + uint64(len(key))) * 0x9e3779b97f4a7c15 >> 55
}

// dropEarlier takes the entries with the same key out of dst and corrects text,
// the offsets of entries behind base, whose last one is the end.
func dropEarlier(dst []byte, base int, src, key []byte, keys, text []int32) []byte {
	for i, at := range keys {
		k, _, ok := stringKey(src[at:])
		if !ok || !bytes.Equal(k, key) {
			continue
		}
		from, to := text[i], text[i+1]
		dst = append(dst[:base+int(from)], dst[base+int(to):]...)
		for j := i + 1; j < len(text); j++ {
			text[j] -= to - from
		}
	}
	return dst
}

// appendLargeMapText is appendMapText for n entries at the start of b.
func appendLargeMapText(dst, b []byte, n, depth int, o JSONOptions) (out, rest []byte) {
	dropped := findDuplicates(b, n)
	dst = append(dst, '{')
	for i := range n {
		if len(dropped) > 0 && dropped[0] == i {
			dropped = dropped[1:]
			end, err := skip(b, 0, 2, depth)
			if err != nil {
				b = nil
				break
			}
			b = b[end:]
			continue
		}
		dst, b = appendKeyText(dst, b, depth+1, o)
		dst = append(dst, ':')
		dst, b = appendValueText(dst, b, depth+1, o)
		dst = append(dst, ',')
		if b == nil {
			break
		}
	}
	return closeText(dst, '{', '}'), b
}

// keyTable finds equal keys in time linear in their number, whatever they are:
// the hash has a secret seed.
type keyTable struct {
	slots []keySlot // A power of two of them, at most half in use.
	used  int
}

// keySlot is the last entry seen with some key; the zero value is free.
type keySlot struct {
	hash  uint64
	at    int // Offset of the key.
	entry int // Number of the entry plus one.
}

var (
	keySeed   = maphash.MakeSeed()
	keyTables = sync.Pool{New: func() any { return &keyTable{slots: make([]keySlot, 256)} }}
)

// keyTableKeep is how many slots a table may have to be kept for reuse.
const keyTableKeep = 4096

// getKeyTable returns an empty table; putKeyTable takes it back.
func getKeyTable() *keyTable { return keyTables.Get().(*keyTable) }

func putKeyTable(t *keyTable) {
	if len(t.slots) > keyTableKeep {
		return
	}
	clear(t.slots)
	t.used = 0
	keyTables.Put(t)
}

// findDuplicates returns the numbers of those of the n entries at the start of
// b whose string key comes again later, in ascending order.
func findDuplicates(b []byte, n int) (dropped []int) {
	t := getKeyTable()
	defer putKeyTable(t)
	var isDropped []uint64 // Bitmap; most maps need none.
	rest := b
	for i := range n {
		if key, _, ok := stringKey(rest); ok {
			if prev := t.put(b, key, len(b)-len(rest), i); prev >= 0 {
				if isDropped == nil {
					isDropped = make([]uint64, min(n, len(b))/64+1)
				}
				isDropped[prev/64] |= 1 << (prev % 64)
			}
		}
		end, err := skip(rest, 0, 2, 0)
		if err != nil {
			break // What is not there has no duplicates.
		}
		rest = rest[end:]
	}
	for w, word := range isDropped {
		for ; word != 0; word &= word - 1 {
			dropped = append(dropped, w*64+bits.TrailingZeros64(word))
		}
	}
	return dropped
}

// put notes that key, at offset at of b, is that of the given entry, and
// returns the entry noted for it before, or -1.
func (t *keyTable) put(b, key []byte, at, entry int) (prev int) {
	hash := maphash.Bytes(keySeed, key)
	s := t.find(hash, func(s *keySlot) bool {
		k, _, _ := stringKey(b[s.at:])
		return bytes.Equal(k, key)
	})
	if s.entry != 0 {
		prev = s.entry - 1
		s.at, s.entry = at, entry+1
		return prev
	}
	*s = keySlot{hash: hash, at: at, entry: entry + 1}
	if t.used++; t.used*2 > len(t.slots) {
		old := t.slots
		t.slots = make([]keySlot, 2*len(old))
		for _, s := range old {
			if s.entry != 0 {
				*t.find(s.hash, func(*keySlot) bool { return false }) = s
			}
		}
	}
	return -1
}

// find returns the slot with the given hash that same accepts, or the free one
// where it belongs.
func (t *keyTable) find(hash uint64, same func(*keySlot) bool) *keySlot {
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.entry == 0 || s.hash == hash && same(s) {
			return s
		}
	}
}
