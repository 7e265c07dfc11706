package tail

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestEncodings(t *testing.T) {
	f := func(name, option, value, content string, want ...string) {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.write("a.log", content)
			r.start(option, value)
			r.lines(want...)
		})
	}
	const uni, gen = "unicode.encoding", "generic.encoding"
	f("utf-16le", uni, "UTF-16LE", "a\x00b\x00\r\x00\n\x00\xac\x20\n\x00u\x00", "ab", "€")
	f("utf-16le with a mark", uni, "utf16-le", "\xff\xfea\x00\n\x00", "a")
	f("utf-16be", uni, "UTF-16BE", "\x00a\x00b\x00\r\x00\n\x20\xac\x00\n\x00u", "ab", "€")
	f("utf-16be with a mark", uni, "UTF-16BE", "\xfe\xff\x00a\x00\n", "a")
	f("bytes of a line feed in other characters", uni, "UTF-16LE", "\x0a\x01\x00\x0a\x0a\x0a\n\x00\x01\x00\n\x00", "\u010a\u0a00\u0a0a", "\x01")
	f("pairs", uni, "UTF-16LE", "\x3d\xd8\x00\xde\n\x00", "😀")
	f("broken pairs", uni, "UTF-16LE", "\x3d\xd8a\x00\n\x00\x00\xde\n\x00\x3d\xd8\n\x00\x3d\xd8\x3d\xd8\x00\xde\n\x00", "\ufffda", "\ufffd", "\ufffd", "\ufffd😀")
	f("zeros at the head", uni, "UTF-16BE", "\x00\x00\x00\x00\x00a\x00\n", "a")
	f("auto: utf-8", uni, "auto", "é\nb\n", "é", "b")
	f("auto: utf-8 with a mark", uni, "auto", "\xef\xbb\xbfa\nb\n", "a", "b")
	f("auto: utf-16le with a mark", uni, "auto", "\xff\xfea\x00\n\x00b\x00\n\x00", "a", "b")
	f("auto: utf-16be with a mark", uni, "auto", "\xfe\xff\x00a\x00\n", "a")
	f("auto: utf-16le without a mark", uni, "auto", "\xe4\x00\n\x00", "ä")
	f("shift_jis", gen, "sjis", "\x93\xfa\x96\x7b\\\n\x83\x5c\n", "日本\\", "ソ")
	f("gbk", gen, "GBK", "\xd6\xd0\xce\xc4\r\n", "中文")
	f("gb18030", gen, "gb18030", "\x81\x30\x81\x30\xd6\xd0\n", "\u0080中")
	f("uhc", gen, "CP949", "\xc7\xd1\xb1\xdb\n", "한글")
	f("big5", gen, "big5", "\xa4\xa4\xa4\xe5\n", "中文")
	f("win1252", gen, "cp1252", "caf\xe9 \x80\n", "café €")
	f("win1251", gen, "win1251", "\xcf\xf0\xe8\n", "При")
	f("win866", gen, "Win866", "\x8f\xe0\xa8\n", "При")
	f("not of the encoding", gen, "GBK", "a\xff\xffb\n\xd6\n", "a\ufffd\ufffdb", "\ufffd")
}

// Lines are decoded alike wherever a read ends and reading begins again.
func TestEncodingAcrossReads(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "\xff")
	r.start("unicode.encoding", "auto", "offset_key", "o", "db", "$/pos.db")
	r.settle()
	r.append("a.log", "\xfea\x00\n")
	r.settle()
	r.append("a.log", "\x00b\x00\n\x00c")
	r.want(`{"o":0,"log":"a"}`, `{"o":6,"log":"b"}`)
	r.stop()
	r.append("a.log", "\x00\n\x00")
	r.start("unicode.encoding", "auto", "offset_key", "o", "db", "$/pos.db")
	r.want(`{"o":0,"log":"a"}`, `{"o":6,"log":"b"}`, `{"o":10,"log":"c"}`)
}

func TestEncodingWithParserAndLongLines(t *testing.T) {
	r := newRig(t)
	long := strings.Repeat("\xe9", 1100)
	r.write("a.log", "{\"a\":\"\xe9\"}\n"+long+"\nz\r\n")
	r.start("generic.encoding", "win1252", "parser", "json", "truncate_long_lines", "on", "buffer_max_size", "1k", "buffer_chunk_size", "1k")
	r.want(`{"a":"é"}`, `{"log":"`+strings.Repeat("é", 999)+`"}`, `{"log":"z\r"}`)
}

func TestSkipEmptyLinesOfUTF16(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "\xff\xfea\x00\n\x00\r\x00\n\x00\n\x00b\x00\n\x00")
	r.start("unicode.encoding", "utf-16le", "skip_empty_lines", "on")
	r.lines("a", "b")
}

// FuzzUTF16 compares with the decoder of the standard library and checks that the
// lines are those of the text, however far it was read.
func FuzzUTF16(f *testing.F) {
	f.Add([]byte("a\x00\n\x00\x3d\xd8\x00\xde\n\x00"), false)
	f.Add([]byte("\x0a\x0a\x00\x0a\x00\x0a"), true)
	f.Fuzz(func(t *testing.T, text []byte, big bool) {
		kind, order := utf16LE, binary.ByteOrder(binary.LittleEndian)
		if big {
			kind, order = utf16BE, binary.BigEndian
		}
		got := kind.appendUTF8(nil, text, 2)
		var units []uint16
		for i := 0; i+2 <= len(text); i += 2 {
			units = append(units, order.Uint16(text[i:]))
		}
		want := string(utf16.Decode(units))
		if len(text)%2 != 0 {
			want += "\ufffd"
		}
		if string(got) != want {
			t.Fatalf("%x: %q, want %q", text, got, want)
		}
		var lines []string
		for rest, at := text, int64(0); ; {
			end, size := kind.lineEnd(rest, at)
			if end < 0 {
				lines = append(lines, string(kind.appendUTF8(nil, rest, at+2)))
				break
			}
			if size != 2 || end%2 != 0 {
				t.Fatalf("line end of %d bytes at %d", size, end)
			}
			lines = append(lines, string(kind.appendUTF8(nil, rest[:end], at+2)))
			rest, at = rest[end+size:], at+int64(end+size)
		}
		if strings.Join(lines, "\n") != string(got) {
			t.Fatalf("%x: lines %q of %q", text, lines, got)
		}
	})
}

func FuzzGeneric(f *testing.F) {
	f.Add([]byte("\x93\xfa"), 0)
	f.Fuzz(func(t *testing.T, text []byte, which int) {
		enc := generic[uint(which)%uint(len(generic))].enc.NewDecoder()
		got := appendDecoded([]byte("head"), text, enc)
		want, err := enc.Bytes(text)
		if err == nil && string(got) != "head"+string(want) {
			t.Fatalf("%x: %q, want %q", text, got, want)
		}
		if !utf8.Valid(got) {
			t.Fatalf("%x: %q is no UTF-8", text, got)
		}
	})
}

func TestEncodingNames(t *testing.T) {
	for _, name := range []string{"SHIFTJIS", "Windows-31J", "cp936", "uhc", "Windows-949", "BIG5", "CP950", "win874", "Win1250", "cp1253", "Win1254", "Win1255", "WIn1256"} {
		if _, err := plugintest.TryInput(Def(), plugintest.Env(t), "path", "x", "generic.encoding", name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
