package main

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"strconv"

	"github.com/tinylib/msgp/msgp"
)

// source makes the records of a row. Each has a sequence number, firstSeq and
// up, from which the sink tells whether all arrived.
type source struct {
	name   string
	stream bool // for a forward input over TCP; else lines of a file
	// next appends what comes at the place i of n records: one or more records,
	// of which it returns the number.
	next func(dst []byte, i, n int) ([]byte, int)
}

var (
	jsonLines       = source{name: "lines.json", next: appendJSONLine}
	apacheLines     = source{name: "access.log", next: appendApacheLine}
	criLines        = source{name: "cri.log", next: appendCRILine}
	forwardMessages = source{name: "messages", stream: true, next: appendMessage}
	forwardPacked   = source{name: "packed", stream: true, next: appendPacked}
)

// firstSeq gives all sequence numbers the same length, as text and in msgpack.
const firstSeq = 1_000_000_000

// maxRecords keeps them so.
const maxRecords = 1_000_000_000

// blockSize is how much is written at once.
const blockSize = 256 << 10

// write writes n records to w.
func (s source) write(w io.Writer, n int) error {
	buf := make([]byte, 0, 2*blockSize)
	for i := 0; i < n; {
		var k int
		buf, k = s.next(buf, i, n)
		i += k
		if len(buf) >= blockSize || i == n {
			if _, err := w.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	return nil
}

// lineSize is the length of a JSON and of a CRI line without its newline.
const lineSize = 293

var (
	levels   = []string{"info", "info", "info", "info", "info", "warn", "error"}
	services = []string{"checkout", "catalog", "search", "payment"}
	methods  = []string{"GET", "GET", "GET", "POST", "PUT"}
	codes    = []int{200, 200, 200, 200, 201, 304, 404, 500}
	prose    = `request completed after the session was restored from the cache and the stock of the warehouse was read again, since "reserve" had answered late; the customer saw nothing of it`
)

// random returns numbers that depend on i alone, so that all runs see the same
// records.
func random(i int) *rand.PCG { return rand.NewPCG(uint64(i), 0x6b6167617269) }

func pick[T any](of []T, v uint64) T { return of[v%uint64(len(of))] }

// appendDigits appends v with leading zeros.
func appendDigits(dst []byte, v uint64, width int) []byte {
	start := len(dst)
	for range width {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; i >= start; i-- {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
	return dst
}

func appendHex(dst []byte, v uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&15])
	}
	return dst
}

// appendClock appends the part of a time below the hour, in steps of a
// millisecond: 04:05.678 for i = 245678.
func appendClock(dst []byte, i int) []byte {
	ms := uint64(i)
	dst = append(appendDigits(dst, ms/60000%60, 2), ':')
	dst = append(appendDigits(dst, ms/1000%60, 2), '.')
	return appendDigits(dst, ms%1000, 3)
}

// appendJSONLine appends one line of an application that logs JSON.
func appendJSONLine(dst []byte, i, _ int) ([]byte, int) {
	r := random(i)
	start := len(dst)
	dst = append(dst, `{"seq":`...)
	dst = strconv.AppendInt(dst, int64(firstSeq+i), 10)
	dst = append(dst, `,"time":"2024-05-06T07:`...)
	dst = appendClock(dst, i)
	dst = append(dst, `Z","level":"`...)
	dst = append(dst, pick(levels, r.Uint64())...)
	dst = append(dst, `","service":"`...)
	dst = append(dst, pick(services, r.Uint64())...)
	dst = append(dst, `","pid":`...)
	dst = strconv.AppendUint(dst, 1000+r.Uint64()%30000, 10)
	dst = append(dst, `,"trace":"`...)
	dst = appendHex(dst, r.Uint64())
	dst = append(dst, `","http_method":"`...)
	dst = append(dst, pick(methods, r.Uint64())...)
	dst = append(dst, `","http_status":`...)
	dst = strconv.AppendInt(dst, int64(pick(codes, r.Uint64())), 10)
	dst = append(dst, `,"http_ms":`...)
	dst = strconv.AppendFloat(dst, float64(r.Uint64()%250_000)/1000, 'f', 3, 64)
	dst = append(dst, `,"user":{"id":`...)
	dst = strconv.AppendUint(dst, r.Uint64()%100_000, 10)
	dst = append(dst, `,"new":false},"msg":"`...)
	dst = appendProse(dst, r.Uint64(), lineSize-len(`"}`)-(len(dst)-start), true)
	return append(dst, "\"}\n"...), 1
}

// appendProse appends exactly width bytes of text, JSON-escaped if quoted is
// set.
func appendProse(dst []byte, at uint64, width int, quoted bool) []byte {
	for at %= uint64(len(prose)); width > 0; width-- {
		c := prose[at]
		if at++; at == uint64(len(prose)) {
			at = 0
		}
		if c == '"' && quoted {
			if width == 1 {
				c = ' '
			} else {
				dst = append(dst, '\\')
				width--
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// appendApacheLine appends one line of an access log in the combined format.
func appendApacheLine(dst []byte, i, _ int) ([]byte, int) {
	r := random(i)
	dst = append(dst, "203.0.113."...)
	dst = strconv.AppendUint(dst, r.Uint64()%256, 10)
	dst = append(dst, " - "...)
	dst = append(dst, pick([]string{"-", "-", "-", "alice", "bob"}, r.Uint64())...)
	dst = append(dst, " [06/May/2024:07:"...)
	dst = appendDigits(dst, uint64(i)/60000%60, 2)
	dst = append(dst, ':')
	dst = appendDigits(dst, uint64(i)/1000%60, 2)
	dst = append(dst, ` +0000] "`...)
	dst = append(dst, pick(methods, r.Uint64())...)
	dst = append(dst, ` /shop/`...)
	dst = append(dst, pick(services, r.Uint64())...)
	dst = append(dst, `?seq=`...)
	dst = strconv.AppendInt(dst, int64(firstSeq+i), 10)
	dst = append(dst, ` HTTP/1.1" `...)
	dst = strconv.AppendInt(dst, int64(pick(codes, r.Uint64())), 10)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, r.Uint64()%100_000, 10)
	dst = append(dst, ` "https://shop.example/`...)
	dst = append(dst, pick(services, r.Uint64())...)
	dst = append(dst, `" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36"`...)
	return append(dst, '\n'), 1
}

// appendCRILine appends one line as container runtimes write them.
func appendCRILine(dst []byte, i, _ int) ([]byte, int) {
	r := random(i)
	start := len(dst)
	dst = append(dst, "2024-05-06T07:"...)
	dst = appendClock(dst, i)
	dst = appendDigits(dst, r.Uint64(), 6)
	dst = append(dst, pick([]string{"Z stdout F ", "Z stdout F ", "Z stderr F "}, r.Uint64())...)
	dst = append(dst, "seq="...)
	dst = strconv.AppendInt(dst, int64(firstSeq+i), 10)
	dst = append(dst, ' ')
	dst = appendProse(dst, r.Uint64(), lineSize-(len(dst)-start), false)
	return append(dst, '\n'), 1
}

// forwardTag is the tag of all forward messages.
const forwardTag = "app.bench"

// appendMessage appends one record in Message mode of the forward protocol, as
// the log driver of Docker sends it:
//
//	[tag, time, record, {}]
func appendMessage(dst []byte, i, _ int) ([]byte, int) {
	dst = msgp.AppendArrayHeader(dst, 4)
	dst = msgp.AppendString(dst, forwardTag)
	dst = appendEventTime(dst, i)
	dst = appendRecord(dst, i)
	return msgp.AppendMapHeader(dst, 0), 1
}

// packedRecords is how many records one PackedForward message has.
const packedRecords = 1000

// appendPacked appends records in PackedForward mode:
//
//	[tag, bin([time, record]…), {"size": n}]
func appendPacked(dst []byte, i, n int) ([]byte, int) {
	k := min(packedRecords, n-i)
	entries := make([]byte, 0, 320*packedRecords)
	for j := range k {
		entries = msgp.AppendArrayHeader(entries, 2)
		entries = appendEventTime(entries, i+j)
		entries = appendRecord(entries, i+j)
	}
	dst = msgp.AppendArrayHeader(dst, 3)
	dst = msgp.AppendString(dst, forwardTag)
	dst = msgp.AppendBytes(dst, entries)
	dst = msgp.AppendMapHeader(dst, 1)
	dst = msgp.AppendString(dst, "size")
	return msgp.AppendInt(dst, k), k
}

// appendEventTime appends a time of the forward protocol: ext type 0 with
// seconds and nanoseconds.
func appendEventTime(dst []byte, i int) []byte {
	dst = append(dst, 0xd7, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(1714979289+i/1000))
	return binary.BigEndian.AppendUint32(dst, uint32(i%1000)*1_000_000)
}

// appendRecord appends what FireLens makes of one line of a container.
func appendRecord(dst []byte, i int) []byte {
	r := random(i)
	dst = msgp.AppendMapHeader(dst, 6)
	dst = msgp.AppendString(dst, "seq")
	dst = msgp.AppendUint32(dst, uint32(firstSeq+i))
	dst = msgp.AppendString(dst, "source")
	dst = msgp.AppendString(dst, "stdout")
	dst = msgp.AppendString(dst, "container_name")
	dst = msgp.AppendString(dst, "/ecs-shop-7-web-c2e8b1a4d0f2a6b39a01")
	dst = msgp.AppendString(dst, "container_id")
	dst = msgp.AppendString(dst, "5d41402abc4b2a76b9719d911017c592ae3f8b0c7d6e5f40312233445566778a")
	dst = msgp.AppendString(dst, "ecs_cluster")
	dst = msgp.AppendString(dst, "blue")
	dst = msgp.AppendString(dst, "log")
	const width = 110
	dst = append(dst, 0xd9, width) // str 8
	return appendProse(dst, r.Uint64(), width, false)
}
