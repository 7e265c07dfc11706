package wire

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/kagarilog/kagari/event"
)

// decodeMsgpackSeq reads values one after the other.
func decodeMsgpackSeq(b []byte) ([]any, error) {
	out := []any{}
	for len(b) > 0 {
		v, rest, err := event.Next(b)
		if err != nil {
			return nil, err
		}
		out = append(out, plainMsgpack(v))
		b = rest
	}
	return out, nil
}

// plainMsgpack makes an event time (ext 0 of 8 bytes, see "Event Stream" in the
// Forward Protocol Specification v1) an object with seconds and nanoseconds.
func plainMsgpack(v event.Value) any {
	switch v.Kind() {
	case event.KindBool:
		b, _ := v.Bool()
		return b
	case event.KindInt:
		n, _ := v.Int()
		return num(n)
	case event.KindUint:
		n, _ := v.Uint()
		return num(n)
	case event.KindFloat:
		f, _ := v.Float()
		return f
	case event.KindString:
		s, _ := v.Str()
		return decodeText(s)
	case event.KindBinary:
		s, _ := v.Str()
		return append([]byte{}, s...)
	case event.KindArray:
		out := []any{}
		for x := range v.Items() {
			out = append(out, plainMsgpack(x))
		}
		return out
	case event.KindMap:
		out := map[string]any{}
		for k, x := range v.Pairs() {
			out[mapKey(k)] = plainMsgpack(x)
		}
		return out
	case event.KindExt:
		typ, data, _ := v.Ext()
		if typ == 0 && len(data) == 8 {
			return map[string]any{"$eventtime": []any{
				num(uint64(binary.BigEndian.Uint32(data))), num(uint64(binary.BigEndian.Uint32(data[4:])))}}
		}
		return map[string]any{"$ext": []any{num(int(typ)), hex.EncodeToString(data)}}
	}
	return nil
}

func mapKey(v event.Value) string {
	if s, ok := v.Str(); ok {
		return decodeText(s)
	}
	return encode(plainMsgpack(v))
}

// appendMsgpack writes the values that the forward server sends.
func appendMsgpack(dst []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		return event.AppendBool(dst, v)
	case string:
		return event.AppendString(dst, v)
	case []byte:
		return event.AppendBinary(dst, v)
	case []any:
		dst = event.AppendArrayHeader(dst, len(v))
		for _, x := range v {
			dst = appendMsgpack(dst, x)
		}
		return dst
	case map[string]any:
		dst = event.AppendMapHeader(dst, len(v))
		for _, k := range sortedKeys(v) {
			dst = appendMsgpack(event.AppendString(dst, k), v[k])
		}
		return dst
	}
	panic(fmt.Sprintf("BUG: a msgpack value of type %T", v))
}
