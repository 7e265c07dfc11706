package forward

import (
	"io"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/forwardproto"
)

// Limits of what is decoded, beside the options.
const (
	maxTag   = 8 << 10 // bytes
	maxChunk = 4 << 10 // bytes of a chunk id
	// maxBatch and maxEvents end a batch before its input is used up, which
	// happens with very small entries and with compressed ones.
	maxBatch  = 512 << 10 // bytes
	maxEvents = 8 << 10
)

var (
	errNotArray = &forwardproto.Malformed{Reason: "invalid_message", Text: "a message is not an array"}
	errShort    = &forwardproto.Malformed{Reason: "invalid_message", Text: "a message has too few elements"}
	errTag      = &forwardproto.Malformed{Reason: "invalid_tag", Text: "the tag of a message is not a string"}
	errTagLong  = &forwardproto.Malformed{Reason: "invalid_tag", Text: "the tag of a message is too long"}
	errKind     = &forwardproto.Malformed{Reason: "invalid_message", Text: "the second element of a message is neither a time nor entries"}
	errEntry    = &forwardproto.Malformed{Reason: "invalid_entry", Text: "an entry is not an array of time and record"}
	errMeta     = &forwardproto.Malformed{Reason: "invalid_entry", Text: "the metadata of an entry is not a map"}
	errRecord   = &forwardproto.Malformed{Reason: "invalid_record", Text: "a record is not a map"}
	errChunkID  = &forwardproto.Malformed{Reason: "invalid_options", Text: "the option chunk is too long"}
	errSize     = &forwardproto.Malformed{Reason: "too_large", Text: "the entries of a message are larger than message_max_size"}
	errSignal   = &forwardproto.Malformed{Reason: "unsupported_signal", Text: "the message carries metrics or traces, which are not supported"}
)

// decoder turns the bytes of a connection into events. It has one owner.
type decoder struct {
	in      stream
	out     sink
	maxSize int64 // of the entries of one message, unpacked

	inside bool      // a message is under way
	unpack *unpacker // for compressed entries; nil until there are some
	// groups counts the markers of groups that were left out.
	groups int
}

// message decodes one message. The error is io.EOF only between messages.
func (d *decoder) message() error {
	b := d.in.window()
	for len(b) == 0 {
		if err := d.in.fill(); err != nil {
			return err
		}
		b = d.in.window()
	}
	if b[0] == 0xc0 { // nil is a heartbeat of Fluentd
		d.in.use(1)
		return nil
	}
	d.inside = true
	err := d.begun(b)
	switch err {
	case nil:
		d.inside = false
	case io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return err
}

// begun decodes a message of which b has arrived.
func (d *decoder) begun(b []byte) error {
	for {
		n, tag, rest, err := header(b)
		if err == io.ErrUnexpectedEOF {
			if err := d.in.fill(); err != nil {
				return err
			}
			b = d.in.window()
			continue
		}
		if err != nil {
			return err
		}
		switch kindOf(rest[0]) {
		case event.KindInt, event.KindExt, event.KindFloat:
			err := d.single(n, tag, b, rest)
			if err != io.ErrUnexpectedEOF {
				return err
			}
			// Most messages are complete. One that is not is decoded again when it is.
			if _, err := d.in.complete(); err != nil {
				return err
			}
			b = d.in.window()
		case event.KindArray:
			return d.forward(n, tag, b, rest)
		case event.KindString, event.KindBinary:
			return d.packed(n, tag, b, rest)
		default:
			return errKind
		}
	}
}

// header splits the array header and the tag off a message; rest is not empty.
func header(b []byte) (n int, tag, rest []byte, err error) {
	if c := b[0]; c&0xf0 == 0x90 { // the usual case, inlined
		n, rest = int(c&0x0f), b[1:]
	} else if n, rest, err = event.ReadArrayHeader(b); err != nil {
		if err != io.ErrUnexpectedEOF {
			err = errNotArray
		}
		return 0, nil, nil, err
	}
	if n < 2 {
		return 0, nil, nil, errShort
	}
	if len(rest) == 0 {
		return 0, nil, nil, io.ErrUnexpectedEOF
	}
	if c := rest[0]; c&0xe0 == 0xa0 && int(c&0x1f)+1 < len(rest) {
		end := 1 + int(c&0x1f)
		return n, rest[1:end], rest[end:], nil
	}
	if kindOf(rest[0]) != event.KindString {
		return 0, nil, nil, errTag
	}
	v, after, err := event.Next(rest)
	if err != nil {
		if claimed(rest) > maxTag {
			return 0, nil, nil, errTagLong
		}
		return 0, nil, nil, err
	}
	tag, _ = v.Str()
	if len(tag) > maxTag {
		return 0, nil, nil, errTagLong
	}
	if len(after) == 0 {
		return 0, nil, nil, io.ErrUnexpectedEOF
	}
	return n, tag, after, nil
}

// claimed is the length that the header of a string or binary at the start of b
// gives, 0 if the header is not complete.
func claimed(b []byte) int64 {
	size, head := blobHeader(b)
	if head == 0 {
		return 0
	}
	return size
}

// blobHeader reads the header of a string or binary: the length of the payload
// and of the header, which is 0 if it is not complete.
func blobHeader(b []byte) (size int64, head int) {
	width := 0
	switch c := b[0]; {
	case c&0xe0 == 0xa0:
		return int64(c & 0x1f), 1
	case c == 0xc4 || c == 0xd9:
		width = 1
	case c == 0xc5 || c == 0xda:
		width = 2
	default:
		width = 4
	}
	if len(b) < 1+width {
		return 0, 0
	}
	for _, x := range b[1 : 1+width] {
		size = size<<8 | int64(x)
	}
	return size, 1 + width
}

// kindOf is the kind of a value by its first byte.
func kindOf(c byte) event.Kind { return event.Value{c}.Kind() }

// single decodes a Message: rest follows the tag in b. io.ErrUnexpectedEOF
// means that it is not complete; nothing has happened then.
func (d *decoder) single(n int, tag, b, rest []byte) error {
	if n < 3 {
		return errShort
	}
	t, rest, err := event.Next(rest)
	if err != nil {
		return malformed(err)
	}
	if len(rest) == 0 {
		return io.ErrUnexpectedEOF
	}
	if !isMap(rest[0]) {
		return errRecord
	}
	record, rest, err := event.Next(rest)
	if err != nil {
		return malformed(err)
	}
	var o forwardproto.Options
	if n > 3 {
		var v event.Value
		if v, rest, err = event.Next(rest); err != nil {
			return malformed(err)
		}
		if o, err = options(v); err != nil {
			return err
		}
		for range n - 4 {
			if _, rest, err = event.Next(rest); err != nil {
				return malformed(err)
			}
		}
	}
	var ns int64
	if len(t) == 10 && t[0] == 0xd7 && t[1] == 0 {
		ns, err = forwardproto.EventTime(t[2:])
	} else {
		ns, err = forwardproto.Time(t)
	}
	switch {
	case err == nil:
		s := d.out.slot(tag)
		d.out.begin(s, o.Chunk != nil)
		batch := d.out.batch(s)
		ev := batch.Add(ns)
		ev.SetRecord(batch.Bytes(record))
		if o.Metadata != nil && o.Metadata.Len() > 0 {
			ev.Meta = batch.Bytes(o.Metadata)
		}
		d.out.added(1, len(record))
	case err == forwardproto.ErrGroup:
		d.groups++
		d.out.begin(d.out.slot(tag), o.Chunk != nil)
	default:
		return err
	}
	d.out.end(o.Chunk)
	d.in.use(len(b) - len(rest))
	return d.out.check()
}

// options reads the options of a message.
func options(v event.Value) (forwardproto.Options, error) {
	o, err := forwardproto.ParseOptions(v)
	if err == nil && len(o.Chunk) > maxChunk {
		err = errChunkID
	}
	return o, err
}

// forward decodes a message with an array of entries, which starts at rest.
func (d *decoder) forward(n int, tag, b, rest []byte) error {
	s := d.out.slot(tag) // tag is not valid behind the next fill
	d.in.use(len(b) - len(rest))
	var count int
	for {
		var err error
		var after []byte
		if count, after, err = event.ReadArrayHeader(d.in.window()); err == nil {
			d.in.use(len(d.in.window()) - len(after))
			break
		}
		if err := d.in.fill(); err != nil { // only the header can be incomplete
			return err
		}
	}
	d.out.begin(s, n > 2)
	if err := d.entries(&d.in, s, count); err != nil {
		return err
	}
	o, err := d.trailer(n)
	if err != nil {
		return err
	}
	if o.Signal != forwardproto.SignalLogs {
		return d.otherSignal(o)
	}
	d.out.end(o.Chunk)
	return d.out.check()
}

// trailer reads what follows the entries of a message of n elements.
func (d *decoder) trailer(n int) (o forwardproto.Options, err error) {
	for i := 2; i < n; i++ {
		v, err := d.in.value()
		if err != nil {
			return o, err
		}
		if i == 2 {
			if o, err = options(v); err != nil {
				return o, err
			}
			// Reading on may move what the id aliases.
			if n > 3 && o.Chunk != nil {
				o.Chunk = append(event.Value(nil), o.Chunk...)
			}
		}
	}
	return o, nil
}

// otherSignal refuses metrics and traces. A sender that waits for an
// acknowledgement learns it from the closed connection; for another the
// messages that follow matter more.
func (d *decoder) otherSignal(o forwardproto.Options) error {
	if o.Chunk != nil {
		return errSignal
	}
	d.out.end(nil)
	d.out.refuse(errSignal)
	return nil
}

// packed decodes a message with entries in a string or binary, whose header is
// at the start of rest.
func (d *decoder) packed(n int, tag, b, rest []byte) error {
	s := d.out.slot(tag) // tag is not valid behind the next fill
	d.in.use(len(b) - len(rest))
	size, head := blobHeader(d.in.window())
	for head == 0 {
		if err := d.in.fill(); err != nil {
			return err
		}
		size, head = blobHeader(d.in.window())
	}
	if size > d.maxSize {
		return errSize
	}
	d.in.use(head)
	d.out.begin(s, n > 2)
	d.in.left = size
	foreign, err := d.blob(s)
	d.in.left = -1
	if err != nil {
		return err
	}
	o, err := d.trailer(n)
	if err != nil {
		return err
	}
	switch {
	case o.Signal != forwardproto.SignalLogs:
		return d.otherSignal(o)
	case foreign:
		return errEntry
	}
	d.out.end(o.Chunk)
	return d.out.check()
}

// blob decodes packed entries up to the limit of d.in. What they are is plain
// from the first bytes: entries are arrays, which no compression starts like,
// and metrics and traces are maps, of which foreign tells; they are skipped.
// The option that names the compression comes later and is not needed.
func (d *decoder) blob(s *slot) (foreign bool, err error) {
	for len(d.in.window()) == 0 {
		if err := d.in.fill(); err == errBlobEnd {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	switch c := d.in.window()[0]; {
	case isArray(c):
		return false, d.entries(&d.in, s, -1)
	case isMap(c):
		return true, d.in.skip()
	case c == 0x1f:
		return d.compressed(s, gzipKind)
	case c == 0x28:
		return d.compressed(s, zstdKind)
	}
	return false, errEntry
}

// compressed decodes compressed entries up to the limit of d.in.
func (d *decoder) compressed(s *slot, kind compression) (foreign bool, err error) {
	u, err := d.unpacker(kind)
	if err != nil {
		return false, err
	}
	defer d.closeUnpacker()
	for len(u.stream.window()) == 0 {
		switch err := u.stream.fill(); {
		case err == io.EOF:
			return false, d.in.skip()
		case err != nil:
			return false, u.explain(err)
		}
	}
	if isMap(u.stream.window()[0]) {
		return true, d.in.skip()
	}
	if err := d.entries(&u.stream, s, -1); err != nil {
		return false, u.explain(err)
	}
	return false, d.in.skip()
}

// entries decodes count entries from in, or all until its end if count is
// negative.
func (d *decoder) entries(in *stream, s *slot, count int) error {
	for count != 0 {
		b := in.window()
		if len(b) == 0 {
			switch err := in.fill(); {
			case err == nil:
			case count < 0 && (err == errBlobEnd || err == io.EOF && in != &d.in):
				return nil
			case err == errBlobEnd:
				return errTruncated
			default:
				return err
			}
			continue
		}
		piece := b[:min(len(b), maxBatch)]
		done, used, err := d.walk(s, piece, count)
		in.use(used)
		if err == io.ErrUnexpectedEOF {
			switch {
			case done == 0:
				done, err = d.large(in, s)
			case len(piece) == len(b):
				// Behind complete entries one fill brings more than just the missing part.
				err = in.fill()
			default:
				err = nil
			}
			if err == errBlobEnd || err == io.EOF && in != &d.in {
				err = errTruncated
			}
		}
		if err != nil {
			return malformed(err)
		}
		if count > 0 {
			count -= done
		}
		if err := d.out.check(); err != nil {
			return err
		}
	}
	return nil
}

// large waits for the entry at the start of in, decodes it alone and returns 1.
func (d *decoder) large(in *stream, s *slot) (done int, err error) {
	n, err := in.complete()
	if err != nil {
		return 0, err
	}
	done, used, err := d.walk(s, in.window()[:n], 1)
	in.use(used)
	return done, err
}

// walk turns the complete entries at the start of b into events, count at most
// if that is not negative, and returns how many entries and bytes it used. The
// bytes are copied once, all together. The error is io.ErrUnexpectedEOF if b
// ends inside an entry.
func (d *decoder) walk(s *slot, b []byte, count int) (done, used int, err error) {
	batch := d.out.batch(s)
	arena := batch.Arena(len(b))
	start := len(arena)
	arena = append(arena, b...)
	p := arena[start:]
	limit := maxEvents
	if count >= 0 {
		limit = min(limit, count)
	}
	groups := 0
	for done < limit && len(p) > 0 {
		ns, meta, record, rest, err1 := entry(p)
		if err1 == forwardproto.ErrGroup {
			groups++
		} else if err1 != nil {
			err = err1
			break
		} else {
			ev := batch.Add(ns)
			ev.Meta = meta
			ev.SetRecord(record)
		}
		p = rest
		done++
	}
	used = len(b) - len(p)
	batch.SetArena(arena[:start+used])
	d.groups += groups
	d.out.added(done-groups, used)
	return done, used, err
}
