package forward

import (
	"encoding/binary"
	"io"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/forwardproto"
)

// entry splits the first entry off p. meta is nil if there is none. With
// forwardproto.ErrGroup rest is what follows the marker.
func entry(p []byte) (ns int64, meta, record event.Value, rest []byte, err error) {
	// The two usual heads, up to the metadata or the record:
	// [[EventTime, and [EventTime,
	if len(p) > 12 && p[0] == 0x92 {
		switch {
		case p[1] == 0x92 && p[2] == 0xd7 && p[3] == 0:
			ns, err = forwardproto.EventTime(p[4:12])
			if p[12] == 0x80 {
				rest = p[13:]
			} else {
				if !isMap(p[12]) {
					return 0, nil, nil, nil, errMeta
				}
				var err1 error
				if meta, rest, err1 = event.Next(p[12:]); err1 != nil {
					return 0, nil, nil, nil, err1
				}
			}
			return recordOf(ns, meta, rest, err)
		case p[1] == 0xd7 && p[2] == 0:
			ns, err = forwardproto.EventTime(p[3:11])
			return recordOf(ns, nil, p[11:], err)
		case p[1] == 0xce:
			return recordOf(int64(binary.BigEndian.Uint32(p[2:]))*1e9, nil, p[6:], nil)
		}
	}
	return otherEntry(p)
}

// recordOf splits the record off rest and puts the result of entry together.
func recordOf(ns int64, meta event.Value, rest []byte, timeErr error) (int64, event.Value, event.Value, []byte, error) {
	if timeErr != nil && timeErr != forwardproto.ErrGroup {
		return 0, nil, nil, nil, timeErr
	}
	if len(rest) == 0 {
		return 0, nil, nil, nil, io.ErrUnexpectedEOF
	}
	if !isMap(rest[0]) {
		return 0, nil, nil, nil, errRecord
	}
	record, rest, err := event.Next(rest)
	if err != nil {
		return 0, nil, nil, nil, err
	}
	return ns, meta, record, rest, timeErr
}

// otherEntry is entry for the less usual forms.
func otherEntry(p []byte) (ns int64, meta, record event.Value, rest []byte, err error) {
	n, rest, err := event.ReadArrayHeader(p)
	if err == nil && n != 2 || err == event.ErrMalformed {
		err = errEntry
	}
	if err != nil {
		return 0, nil, nil, nil, err
	}
	if len(rest) == 0 {
		return 0, nil, nil, nil, io.ErrUnexpectedEOF
	}
	if isArray(rest[0]) {
		if n, rest, err = event.ReadArrayHeader(rest); err == nil && n != 2 {
			err = errEntry
		}
		if err != nil {
			return 0, nil, nil, nil, err
		}
		var t event.Value
		if t, rest, err = event.Next(rest); err != nil {
			return 0, nil, nil, nil, err
		}
		ns, err = forwardproto.Time(t)
		if err != nil && err != forwardproto.ErrGroup {
			return 0, nil, nil, nil, err
		}
		if len(rest) == 0 {
			return 0, nil, nil, nil, io.ErrUnexpectedEOF
		}
		if !isMap(rest[0]) {
			return 0, nil, nil, nil, errMeta
		}
		var err1 error
		if meta, rest, err1 = event.Next(rest); err1 != nil {
			return 0, nil, nil, nil, err1
		}
		if meta.Len() == 0 {
			meta = nil
		}
		return recordOf(ns, meta, rest, err)
	}
	t, rest, err := event.Next(rest)
	if err != nil {
		return 0, nil, nil, nil, err
	}
	ns, err = forwardproto.Time(t)
	return recordOf(ns, nil, rest, err)
}

func isArray(c byte) bool { return c&0xf0 == 0x90 || c == 0xdc || c == 0xdd }
func isMap(c byte) bool   { return c&0xf0 == 0x80 || c == 0xde || c == 0xdf }
