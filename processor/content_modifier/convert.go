package content_modifier

import (
	"bytes"
	"math"
	"strconv"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/cnum"
)

// The values of converted_type.
const (
	typeString = "string"
	typeBool   = "boolean"
	typeInt    = "int"
	typeDouble = "double"
)

func isType(s string) bool {
	return s == typeString || s == typeBool || s == typeInt || s == typeDouble
}

// convert returns v as a value of the given type; false if it cannot be one.
// Maps and arrays never can.
func convert(b *event.Batch, v event.Value, typ string) (event.Value, bool) {
	switch typ {
	case typeString:
		if v.Kind() == event.KindString {
			return v, true
		}
		var room [64]byte
		text, ok := appendText(room[:0], v)
		if !ok {
			return nil, false
		}
		return b.Text(text), true
	case typeBool:
		truth, ok := toBool(v)
		if !ok {
			return nil, false
		}
		return b.Bool(truth), true
	case typeInt:
		return toInt(b, v)
	}
	f, ok := toFloat(v)
	if !ok {
		return nil, false
	}
	return b.Float(f), true
}

// appendText appends v as text: integers as decimals, floats with up to 17
// digits as C's %.17g, and true, false and null as these words.
func appendText(dst []byte, v event.Value) ([]byte, bool) {
	switch v.Kind() {
	case event.KindString, event.KindBinary:
		s, _ := v.Str()
		return append(dst, s...), true
	case event.KindInt:
		i, _ := v.Int()
		return strconv.AppendInt(dst, i, 10), true
	case event.KindUint:
		u, _ := v.Uint()
		return strconv.AppendUint(dst, u, 10), true
	case event.KindFloat:
		f, _ := v.Float()
		return appendFloat(dst, f), true
	case event.KindBool:
		t, _ := v.Bool()
		return strconv.AppendBool(dst, t), true
	case event.KindNil:
		return append(dst, "null"...), true
	}
	return dst, false
}

// appendFloat writes infinities and NaN as C does.
func appendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case math.IsNaN(f):
		return append(dst, "nan"...)
	}
	return strconv.AppendFloat(dst, f, 'g', 17, 64)
}

// toBool takes the word true in any case for true and all other text for false.
func toBool(v event.Value) (truth, ok bool) {
	switch v.Kind() {
	case event.KindString, event.KindBinary:
		s, _ := v.Str()
		return bytes.EqualFold(s, []byte("true")), true
	case event.KindInt, event.KindUint, event.KindFloat:
		f, _ := v.Float()
		return f != 0, true
	case event.KindBool:
		truth, _ = v.Bool()
		return truth, true
	case event.KindNil:
		return false, true
	}
	return false, false
}

// toInt rounds floats, half away from zero. Text must be a number with nothing
// behind it; empty text is 0.
func toInt(b *event.Batch, v event.Value) (event.Value, bool) {
	switch v.Kind() {
	case event.KindString, event.KindBinary:
		s, _ := v.Str()
		i, n, fits := cnum.Int(s)
		if n != len(s) || !fits {
			return nil, false
		}
		return b.Int(i), true
	case event.KindInt, event.KindUint:
		return v, true
	case event.KindFloat:
		f, _ := v.Float()
		if f = math.Round(f); !(f >= math.MinInt64 && f < math.MaxInt64) { // NaN too
			return nil, false
		}
		return b.Int(int64(f)), true
	case event.KindBool:
		if t, _ := v.Bool(); t {
			return b.Int(1), true
		}
		return b.Int(0), true
	case event.KindNil:
		return b.Int(0), true
	}
	return nil, false
}

// toFloat reads the number at the start of text, 0 if there is none.
func toFloat(v event.Value) (float64, bool) {
	switch v.Kind() {
	case event.KindString, event.KindBinary:
		s, _ := v.Str()
		f, n := cnum.Float(s)
		tooLarge := math.IsInf(f, 0) && s[n-1] >= '0' && s[n-1] <= '9'
		return f, !tooLarge
	case event.KindInt, event.KindUint, event.KindFloat:
		return v.Float()
	case event.KindBool:
		if t, _ := v.Bool(); t {
			return 1, true
		}
		return 0, true
	case event.KindNil:
		return 0, true
	}
	return 0, false
}
