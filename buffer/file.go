package buffer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/filelock"
)

const magic = "KAGARI\x00\x01"

// maxNumber bounds what a header may claim, so that sums cannot overflow.
const maxNumber = 1 << 40

// maxHeader bounds everything in front of the data; tags are far shorter.
const maxHeader = 1 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Info is what the header of a chunk file says.
type Info struct {
	ID     event.ChunkID
	Input  string // the directory, named after the input instance
	Tag    string
	Signal event.Signal
	// Outputs names the outputs that the chunk is for; empty if its tag decides.
	Outputs []string
	Count   int
	Size    int // bytes of data
	Created time.Time
}

// Damaged tells whether an error of reading a chunk file is about what is in
// it, so that reading it again cannot help.
func Damaged(err error) bool {
	return errors.Is(err, ErrNotAChunk) || errors.Is(err, ErrHeader) || errors.Is(err, ErrTorn) || errors.Is(err, ErrData)
}

// ErrInUse says that another process works in the directory.
var ErrInUse = filelock.ErrInUse

// The errors of reading a chunk file.
var (
	ErrNotAChunk = errors.New("not a chunk file of a known version")
	ErrHeader    = errors.New("the header is damaged")
	ErrTorn      = errors.New("the file ends early")
	ErrData      = errors.New("the data is damaged")
)

// appendHead appends everything in front of the data.
func appendHead(dst []byte, outputs []string, c *event.Chunk) []byte {
	head := event.AppendMapHeader(nil, 5+min(len(outputs), 1))
	head = event.AppendString(head, "tag")
	head = event.AppendString(head, c.Tag)
	head = event.AppendString(head, "signal")
	head = event.AppendInt(head, int64(c.Signal))
	head = event.AppendString(head, "count")
	head = event.AppendInt(head, int64(c.Count))
	head = event.AppendString(head, "size")
	head = event.AppendInt(head, int64(c.Size()))
	head = event.AppendString(head, "created")
	head = event.AppendInt(head, c.ID.Created().UnixNano())
	if len(outputs) > 0 {
		head = event.AppendString(head, "outputs")
		head = event.AppendArrayHeader(head, len(outputs))
		for _, name := range outputs {
			head = event.AppendString(head, name)
		}
	}

	start := len(dst)
	dst = append(dst, magic...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(head)))
	dst = append(dst, head...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// headLength returns how much a file of which b is the beginning, at least 12
// bytes, has in front of its data.
func headLength(b []byte) int { return 12 + int(binary.BigEndian.Uint32(b[8:])) + 4 }

// parseHead reads the head of a file from b, which may be only its beginning,
// and returns where the data starts.
func parseHead(b []byte) (info Info, data int, err error) {
	if len(b) < 12 {
		return info, 0, ErrTorn
	}
	if string(b[:8]) != magic {
		return info, 0, ErrNotAChunk
	}
	length := headLength(b)
	if length > maxHeader {
		return info, 0, ErrHeader
	}
	if len(b) < length {
		return info, 0, ErrTorn
	}
	end := length - 4
	if crc32.Checksum(b[:end], castagnoli) != binary.BigEndian.Uint32(b[end:]) {
		return info, 0, ErrHeader
	}
	head, rest, err := event.Next(b[12:end])
	if err != nil || len(rest) != 0 {
		return info, 0, ErrHeader
	}
	number := func(key string) int64 {
		v, _ := head.Get(key)
		i, ok := v.Int()
		if !ok || i < 0 || i > maxNumber && key != "created" {
			err = ErrHeader
		}
		return i
	}
	tag, _ := head.Get("tag")
	text, ok := tag.Str()
	if !ok {
		return info, 0, ErrHeader
	}
	info.Tag = string(text)
	info.Signal = event.Signal(number("signal"))
	info.Count = int(number("count"))
	info.Size = int(number("size"))
	info.Created = time.Unix(0, number("created"))
	if outputs, found := head.Get("outputs"); found {
		if outputs.Kind() != event.KindArray {
			return info, 0, ErrHeader
		}
		for v := range outputs.Items() {
			name, ok := v.Str()
			if !ok {
				return info, 0, ErrHeader
			}
			info.Outputs = append(info.Outputs, string(name))
		}
	}
	return info, end + 4, err
}

// parseData cuts the data of a file and checks it. With ErrTorn or ErrData it
// returns what is there, unchecked.
func parseData(b []byte, info Info, at int) ([]byte, error) {
	if len(b) < at+info.Size+4 {
		return b[at:min(len(b), at+info.Size)], ErrTorn
	}
	data := b[at : at+info.Size]
	if crc32.Checksum(data, castagnoli) != binary.BigEndian.Uint32(b[at+info.Size:]) {
		return data, ErrData
	}
	return data, nil
}

// maxLost is at how many places rescue looks for the next entry before it gives
// up; damage is at few.
const maxLost = 1000

// rescue returns the chunk of the whole entries in damaged data, or an error if
// there is none. Behind a place that is no entry it goes on with the next thing
// that looks like one.
func rescue(info Info, data []byte) (*event.Chunk, error) {
	if info.Signal != event.Logs {
		return nil, errors.New("metrics cannot be rescued")
	}
	var good []byte
	n := 0
	for lost := 0; len(data) > 0 && lost < maxLost; lost++ {
		cur := event.NewChunk(info.ID, info.Tag, info.Signal, 0, data).Cursor()
		whole := 0
		for cur.Next() && cur.Record.Kind() == event.KindMap && cur.Meta.Kind() == event.KindMap {
			n++
			whole += len(cur.Entry())
		}
		good = append(good, data[:whole]...)
		if data = data[whole:]; len(data) > 0 {
			next := bytes.Index(data[1:], entryMark)
			if next < 0 {
				break
			}
			data = data[1+next:]
		}
	}
	if n == 0 {
		return nil, fmt.Errorf("no whole entry: %w", ErrTorn)
	}
	return event.NewChunk(info.ID, info.Tag, info.Signal, n, good), nil
}

// entryMark is what every entry begins with; see event.Chunk.
var entryMark = []byte{0x92, 0x92, 0xd7, 0}
