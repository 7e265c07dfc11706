package forwardproto

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/kagarilog/kagari/event"
)

// ErrGroup is returned by Time for the two times that are no times: Fluent Bit
// marks with them the start and the end of a group of OpenTelemetry records.
var ErrGroup = errors.New("marker of a group of records")

var errTime = &Malformed{"invalid_time", "the time of an entry is no EventTime, integer or float that the protocol allows"}

// maxSeconds is what an EventTime can hold; Fluent Bit refuses more in any form.
const maxSeconds = math.MaxUint32

// Time reads the time of an entry in nanoseconds since the Unix epoch.
func Time(v event.Value) (ns int64, err error) {
	switch v.Kind() {
	case event.KindExt:
		typ, data, ok := v.Ext()
		if !ok || typ != 0 || len(data) != 8 {
			return 0, errTime
		}
		return EventTime(data)
	case event.KindInt:
		sec, _ := v.Int()
		if sec < 0 || sec > maxSeconds {
			return 0, errTime
		}
		return sec * 1e9, nil
	case event.KindFloat:
		f, _ := v.Float()
		if !(f >= 0 && f < maxSeconds+1) { // NaN too
			return 0, errTime
		}
		sec := math.Floor(f)
		return int64(sec)*1e9 + int64((f-sec)*1e9), nil
	}
	return 0, errTime
}

// EventTime reads the eight bytes of an EventTime.
func EventTime(data []byte) (ns int64, err error) {
	sec, nsec := binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:8])
	if nsec >= 1e9 {
		return 0, errTime
	}
	if sec >= math.MaxUint32-1 && nsec == 0 {
		return 0, ErrGroup
	}
	return int64(sec)*1e9 + int64(nsec), nil
}

// AppendEventTime appends ns as an EventTime, clamped to what that can hold.
func AppendEventTime(dst []byte, ns int64) []byte {
	sec, nsec := split(ns)
	dst = append(dst, 0xd7, 0)
	dst = binary.BigEndian.AppendUint32(dst, sec)
	return binary.BigEndian.AppendUint32(dst, nsec)
}

// AppendSeconds appends ns as whole seconds, as Fluentd before 0.14 wants them.
func AppendSeconds(dst []byte, ns int64) []byte {
	sec, _ := split(ns)
	return event.AppendUint(dst, uint64(sec))
}

func split(ns int64) (sec, nsec uint32) {
	switch {
	case ns < 0:
		return 0, 0
	case ns/1e9 > maxSeconds:
		return maxSeconds, 999999999
	}
	return uint32(ns / 1e9), uint32(ns % 1e9)
}
