package syslog

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/internal/rawinput"
)

// frame splits data that arrives in pieces of the given size.
func frame(fr *framer, data string, piece int) (messages []string, left string, err error) {
	var buf []byte
	for len(data) > 0 && err == nil {
		n := min(piece, len(data))
		buf = append(buf, data[:n]...)
		data = data[n:]
		var used int
		used, err = fr.split(buf, func(m []byte) { messages = append(messages, string(m)) })
		buf = slices.Clone(buf[used:])
	}
	return messages, string(buf), err
}

func TestSplit(t *testing.T) {
	f := func(counted bool, in string, want []string, wantLeft string, wantErr error) {
		t.Helper()
		for _, piece := range []int{1000, 1, 2, 3, 5} {
			got, left, err := frame(&framer{counted: counted, limit: 100}, in, piece)
			if !slices.Equal(got, want) || !errors.Is(err, wantErr) {
				t.Errorf("%q in pieces of %d gives %q, error %v, expected %q and %v", in, piece, got, err, want, wantErr)
			}
			if wantErr == nil && left != wantLeft {
				t.Errorf("%q in pieces of %d leaves %q, expected %q", in, piece, left, wantLeft)
			}
		}
	}
	f(false, "<1>a\n<2>b\r\n\n\n<3>c\x00<4>d", []string{"<1>a", "<2>b\r", "<3>c"}, "<4>d", nil)
	f(false, "", nil, "", nil)
	f(false, "\n\x00\n", nil, "", nil)

	f(true, "5 <1>hi6 <2>you\n4 <3>q0 5 <4>", []string{"<1>hi", "<2>you", "<3>q"}, "5 <4>", nil)
	f(true, "5 a\nb\x00c", []string{"a\nb\x00c"}, "", nil)
	f(true, "005 <1>hi1", []string{"<1>hi"}, "1", nil)
	f(true, "5 <1>hi\n<2>x\n", []string{"<1>hi"}, "", errLength)
	f(true, "5 <1>hix", []string{"<1>hi"}, "", errLength)
	f(true, "5x", nil, "", errLength)
	f(true, " 5 x", nil, "", errLength)
	f(true, "-5 x", nil, "", errLength)
	f(true, "101 ", nil, "", rawinput.ErrTooLong)
	f(true, "99999999999999999999999999", nil, "", rawinput.ErrTooLong)
	f(true, strings.Repeat("0", 30)+" ", nil, "", errLength)
}

func FuzzSplit(f *testing.F) {
	f.Add("<1>a\n<2>b\r\n\n<3>c\x00<4>d", false, 3)
	f.Add("5 <1>hi6 <2>you\n4 <3>q0 5 <4>", true, 1)
	f.Fuzz(func(t *testing.T, data string, counted bool, piece int) {
		whole, left, err := frame(&framer{counted: counted, limit: 1000}, data, max(1, len(data)))
		parts, leftParts, errParts := frame(&framer{counted: counted, limit: 1000}, data, 1+max(0, piece)%32)
		if !slices.Equal(whole, parts) || (err == nil) != (errParts == nil) || err == nil && left != leftParts {
			t.Errorf("whole: %q left %q error %v; in parts: %q left %q error %v", whole, left, err, parts, leftParts, errParts)
		}
	})
}
