package event

import (
	"math"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	f := func(v []byte, want string) {
		t.Helper()
		if got := string(AppendText([]byte("x"), v)); got != "x"+want {
			t.Errorf("% x is %s, want %s", v, got[1:], want)
		}
	}
	f(AppendNil(nil), `nil`)
	f(AppendBool(nil, true), `true`)
	f(AppendBool(nil, false), `false`)
	f(AppendInt(nil, 42), `42`)
	f(AppendInt(nil, -42), `-42`)
	f(AppendUint(nil, math.MaxUint64), `18446744073709551615`)
	f(AppendFloat(nil, 1.5), `1.500000`)
	f(AppendFloat(nil, 1e20), `100000000000000000000.000000`)
	f(AppendFloat(nil, 1.23456789e-5), `0.000012`)
	f(AppendFloat(nil, math.NaN()), `nan`)
	f(AppendFloat(nil, math.Copysign(math.NaN(), -1)), `-nan`)
	f(AppendFloat(nil, math.Inf(1)), `inf`)
	f(AppendFloat(nil, math.Inf(-1)), `-inf`)
	f([]byte("\xca\x3d\xcc\xcc\xcd"), `0.100000`)
	f(AppendString(nil, "q\"uo,te\tx\né\xff"), "\"q\"uo,te\tx\né\xff\"")
	f(AppendBinary(nil, []byte("a\"b\\\n\xff~\x7f")), `"a\"b\\x0a\xff~\x7f"`)
	f(AppendExt(nil, -1, []byte("a\x00")), `(ext: -1)"a\x00"`)
	f([]byte("\x80"), `{}`)
	f([]byte("\x90"), `[]`)
	f([]byte("\x84\xa1a\x01\xa1b\xc0\xa1a\x92\x01\xa1x\x05\x81\xc3\x90"), `{"a"=>1, "b"=>nil, "a"=>[1, "x"], 5=>{true=>[]}}`)

	// Incomplete values.
	f(nil, ``)
	f([]byte("\xc1"), ``)
	f([]byte("\x92\x01"), `[1, ]`)
	f([]byte("\x82\xa1a\x01\xa1b"), `{"a"=>1, "b"=>}`)
	f([]byte("\xdf\xff\xff\xff\xff\xa1a"), `{"a"=>}`)
	f([]byte(strings.Repeat("\x91", 1000)), strings.Repeat("[", MaxDepth)+strings.Repeat("]", MaxDepth))
}

func TestAppendTextDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { AppendText(buf, benchRecord) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func FuzzAppendText(f *testing.F) {
	for _, s := range sample {
		f.Add([]byte(s.enc))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		AppendText(nil, b[:len(b):len(b)])
	})
}
