package forward

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/forwardproto"
	"github.com/kagarilog/kagari/internal/httpx"
	"github.com/kagarilog/kagari/plugin"
)

// message is a chunk in the form in which it goes over the wire. Usually it is
// one message of the protocol, of which body is the chunk's own bytes:
//
//	head = array header, tag, array header | binary header
//	body = entries, compressed or not
//	tail = options
//
// With a tag per record, body is many messages in a row.
type message struct {
	head, body, tail []byte
	// chunk is the id that the server acknowledges; empty if it does not.
	chunk string
	// ends is where each message of a record ends in body; nil if body is not
	// made of such.
	ends  []int
	nonce [8]byte // of the ids of these messages
	// lostMeta tells that a record had metadata that is not sent.
	lostMeta bool

	own  []byte // body, if it is not the chunk's
	text []byte // for making a tag, whose length comes before it
	pack *httpx.Body
}

var messages = sync.Pool{New: func() any { return new(message) }}

// maxKept is the largest buffer that a message keeps for the next use, in bytes.
const maxKept = 8 << 20

// free gives the message's memory back.
func (m *message) free() {
	if m.pack != nil {
		m.pack.Free()
	}
	if cap(m.own) > maxKept {
		m.own = nil
	}
	*m = message{head: m.head[:0], tail: m.tail[:0], own: m.own[:0], text: m.text[:0], ends: m.ends[:0]}
	messages.Put(m)
}

// size is the number of bytes on the wire.
func (m *message) size() int { return len(m.head) + len(m.body) + len(m.tail) }

// perRecord tells whether every record is a message of its own.
func (m *message) perRecord() bool { return len(m.ends) > 0 }

// encode makes the message of a chunk. It refers to c; free it before.
func (p *peer) encode(c *event.Chunk) (*message, error) {
	m := messages.Get().(*message)
	var err error
	if p.perRecord() {
		err = p.encodeRecords(m, c)
	} else {
		err = p.encodeChunk(m, c)
	}
	if err != nil {
		m.free()
		return nil, plugin.Permanent(fmt.Errorf("read chunk: %w", err))
	}
	return m, nil
}

// encodeChunk makes one message in Forward or CompressedPackedForward mode.
func (p *peer) encodeChunk(m *message, c *event.Chunk) error {
	m.body = c.Bytes()
	if !p.keepsMeta() {
		if err := p.withoutMeta(m, c); err != nil {
			return err
		}
	}
	n := 2
	if p.sendOptions {
		n = 3
	}
	m.head = event.AppendArrayHeader(m.head, n)
	m.head = m.appendTag(m.head, p.template, c.Tag, nil)
	if p.encoding != "" {
		m.pack = httpx.NewBody(p.encoding)
		_, _ = m.pack.Write(m.body) // never fails
		m.body = m.pack.Bytes()
		m.head = appendBinaryHeader(m.head, len(m.body))
	} else {
		m.head = event.AppendArrayHeader(m.head, c.Count)
	}
	if p.sendOptions {
		if p.requireAck {
			m.chunk = base64.StdEncoding.EncodeToString(c.ID[:])
		}
		m.tail = p.appendOptions(m.tail, m.chunk, c.Count, nil)
	}
	return nil
}

// withoutMeta makes a body of entries [time, record].
func (p *peer) withoutMeta(m *message, c *event.Chunk) error {
	cur := c.Cursor()
	for cur.Next() {
		m.own = append(m.own, 0x92)
		if p.timeAsInteger {
			m.own = forwardproto.AppendSeconds(m.own, cur.Time)
		} else {
			m.own = forwardproto.AppendEventTime(m.own, cur.Time)
		}
		m.own = append(m.own, cur.Record...)
		m.lostMeta = m.lostMeta || cur.Meta.Len() > 0
	}
	m.body = m.own
	return cur.Err()
}

// encodeRecords makes a message in Message mode of every record.
func (p *peer) encodeRecords(m *message, c *event.Chunk) error {
	if p.requireAck {
		_, _ = rand.Read(m.nonce[:]) // crypto/rand.Read never fails
	}
	cur := c.Cursor()
	for cur.Next() {
		m.own = append(m.own, 0x94)
		m.own = m.appendTag(m.own, p.template, c.Tag, cur.Record)
		if p.timeAsInteger {
			m.own = forwardproto.AppendSeconds(m.own, cur.Time)
		} else {
			m.own = forwardproto.AppendEventTime(m.own, cur.Time)
		}
		m.own = append(m.own, cur.Record...)
		id := ""
		if p.requireAck {
			id = m.recordID(cur.Index)
		}
		m.own = p.appendOptions(m.own, id, 0, cur.Meta)
		m.ends = append(m.ends, len(m.own))
	}
	m.body = m.own
	return cur.Err()
}

// recordID is the id of the message of the record with that index.
func (m *message) recordID(index int) string {
	var id [16]byte
	copy(id[:8], m.nonce[:])
	binary.BigEndian.PutUint64(id[8:], uint64(index))
	return base64.StdEncoding.EncodeToString(id[:])
}

// recordIndex is the inverse of recordID.
func (m *message) recordIndex(id []byte) (index int, ok bool) {
	var raw [18]byte // room for what 24 characters may decode to
	if len(id) != base64.StdEncoding.EncodedLen(16) {
		return 0, false
	}
	n, err := base64.StdEncoding.Decode(raw[:], id)
	if err != nil || n != 16 || !bytes.Equal(raw[:8], m.nonce[:]) {
		return 0, false
	}
	i := binary.BigEndian.Uint64(raw[8:16])
	return int(i), i < uint64(len(m.ends))
}

// appendTag appends the tag to send, made by t if that is not nil. record is
// nil where there is one tag for the whole chunk.
func (m *message) appendTag(dst []byte, t *event.Template, tag string, record event.Value) []byte {
	if t == nil {
		return event.AppendString(dst, tag)
	}
	m.text, _ = t.Append(m.text[:0], tag, record)
	return event.AppendString(dst, m.text)
}

// appendOptions appends the option map. count is 0 in Message mode, which has
// neither size nor compression.
func (p *peer) appendOptions(dst []byte, chunk string, count int, meta event.Value) []byte {
	n := 1 + len(p.extra)
	if chunk != "" {
		n++
	}
	if count > 0 {
		n++
	}
	if p.encoding != "" {
		n++
	}
	if meta.Len() > 0 {
		n++
	}
	dst = event.AppendMapHeader(dst, n)
	if chunk != "" {
		dst = event.AppendString(dst, "chunk")
		dst = event.AppendString(dst, chunk)
	}
	if count > 0 {
		dst = event.AppendString(dst, "size")
		dst = event.AppendInt(dst, int64(count))
	}
	if p.encoding != "" {
		dst = event.AppendString(dst, "compressed")
		dst = event.AppendString(dst, p.encoding)
	}
	dst = event.AppendString(dst, "fluent_signal")
	dst = event.AppendInt(dst, forwardproto.SignalLogs)
	for _, kv := range p.extra {
		dst = event.AppendString(dst, kv[0])
		dst = event.AppendString(dst, kv[len(kv)-1])
	}
	if meta.Len() > 0 {
		dst = event.AppendString(dst, "metadata")
		dst = append(dst, meta...)
	}
	return dst
}

// appendBinaryHeader appends the header of a binary of n bytes.
func appendBinaryHeader(dst []byte, n int) []byte {
	switch {
	case n <= math.MaxUint8:
		return append(dst, 0xc4, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xc5), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xc6), uint32(n))
}
