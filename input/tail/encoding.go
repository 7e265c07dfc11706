package tail

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// generic is the encodings of the option generic.encoding. In all of them the
// byte of a line feed stands for nothing else, so that lines can be split
// before they are decoded.
var generic = []struct {
	names []string // the first is the one to be shown
	enc   encoding.Encoding
}{
	{[]string{"ShiftJIS", "SJIS", "CP932", "Windows-31J"}, japanese.ShiftJIS},
	{[]string{"GB18030"}, simplifiedchinese.GB18030},
	{[]string{"GBK", "CP936"}, simplifiedchinese.GBK},
	{[]string{"UHC", "CP949", "Windows-949"}, korean.EUCKR},
	{[]string{"Big5", "CP950"}, traditionalchinese.Big5},
	{[]string{"Win866", "CP866"}, charmap.CodePage866},
	{[]string{"Win874", "CP874"}, charmap.Windows874},
	{[]string{"Win1250", "CP1250"}, charmap.Windows1250},
	{[]string{"Win1251", "CP1251"}, charmap.Windows1251},
	{[]string{"Win1252", "CP1252"}, charmap.Windows1252},
	{[]string{"Win1253", "CP1253"}, charmap.Windows1253},
	{[]string{"Win1254", "CP1254"}, charmap.Windows1254},
	{[]string{"Win1255", "CP1255"}, charmap.Windows1255},
	{[]string{"Win1256", "CP1256"}, charmap.Windows1256},
}

func genericNames() []string {
	var names []string
	for _, g := range generic {
		names = append(names, g.names[0])
	}
	return names
}

// genericEncoding finds an encoding by name in any case, or returns nil.
func genericEncoding(name string) encoding.Encoding {
	for _, g := range generic {
		for _, n := range g.names {
			if strings.EqualFold(n, name) {
				return g.enc
			}
		}
	}
	return nil
}

// unicodeKind is how the text of a file is encoded, as far as it matters for
// finding its lines.
type unicodeKind uint8

const (
	plainText unicodeKind = iota // UTF-8, or another encoding in which a line feed is one byte
	utf16LE
	utf16BE
	unicodeAuto // not known yet
)

// unicodeEncoding reads the option unicode.encoding; plainText is none.
func unicodeEncoding(name string) unicodeKind {
	switch strings.ToLower(name) {
	case "auto":
		return unicodeAuto
	case "utf-16le", "utf16-le":
		return utf16LE
	case "utf-16be", "utf16-be":
		return utf16BE
	}
	return plainText
}

// width is the number of bytes of a code unit.
func (k unicodeKind) width() int64 {
	if k == plainText {
		return 1
	}
	return 2
}

var utf8BOM = []byte("\xef\xbb\xbf")

// detect tells the encoding of a file from its first bytes: by the byte order
// mark, else UTF-8 if the bytes are valid, else little-endian UTF-16.
func detect(head []byte) unicodeKind {
	switch {
	case bytes.HasPrefix(head, utf8BOM):
		return plainText
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		return utf16LE
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		return utf16BE
	}
	// The last character may be cut.
	for cut := 0; cut < utf8.UTFMax && cut <= len(head); cut++ {
		if utf8.Valid(head[:len(head)-cut]) {
			return plainText
		}
	}
	return utf16LE
}

// lineEnd returns the offset of the line feed in data and how long it is; at is
// the file offset of data, to which the units of UTF-16 are aligned. The
// offset is -1 if there is none.
func (k unicodeKind) lineEnd(data []byte, at int64) (i, size int) {
	if k == plainText {
		return bytes.IndexByte(data, '\n'), 1
	}
	// The unit is 0a 00 or 00 0a.
	first := 0
	if k == utf16BE {
		first = 1
	}
	for from := 0; ; {
		i := bytes.IndexByte(data[from:], '\n')
		if i < 0 {
			return -1, 0
		}
		i += from
		from = i + 1
		unit := i - first // where the unit starts
		if unit < 0 || (at+int64(unit))%2 != 0 {
			continue
		}
		if unit+2 > len(data) {
			return -1, 0
		}
		if data[unit+1-first] == 0 {
			return unit, 2
		}
	}
}

// appendUTF8 appends UTF-16 text as UTF-8; at is its file offset. Half of a
// surrogate pair and half of a unit become U+FFFD.
func (k unicodeKind) appendUTF8(dst, text []byte, at int64) []byte {
	if at == 0 && (k == utf16LE && bytes.HasPrefix(text, []byte("\xff\xfe")) || k == utf16BE && bytes.HasPrefix(text, []byte("\xfe\xff"))) {
		text = text[2:]
	}
	if at%2 != 0 && len(text) > 0 {
		// Reading began in the middle of a unit.
		dst, text = utf8.AppendRune(dst, utf8.RuneError), text[1:]
	}
	high := rune(-1)
	for len(text) >= 2 {
		r := rune(text[0]) | rune(text[1])<<8
		if k == utf16BE {
			r = rune(text[1]) | rune(text[0])<<8
		}
		text = text[2:]
		if high >= 0 {
			if pair := utf16.DecodeRune(high, r); pair != utf8.RuneError {
				dst, high = utf8.AppendRune(dst, pair), -1
				continue
			}
			dst, high = utf8.AppendRune(dst, utf8.RuneError), -1
		}
		if r >= 0xd800 && r < 0xdc00 {
			high = r
			continue
		}
		dst = utf8.AppendRune(dst, r) // U+FFFD for the second half of a pair
	}
	if high >= 0 {
		dst = utf8.AppendRune(dst, utf8.RuneError)
	}
	if len(text) > 0 {
		dst = utf8.AppendRune(dst, utf8.RuneError)
	}
	return dst
}

// appendDecoded appends text as UTF-8. Bytes that are none in the encoding
// become U+FFFD.
func appendDecoded(dst, text []byte, enc *encoding.Decoder) []byte {
	enc.Reset()
	for {
		room := dst[len(dst):cap(dst)]
		if len(room) < utf8.UTFMax {
			dst = append(dst, make([]byte, len(text)+64)...)[:len(dst)]
			continue
		}
		n, used, err := enc.Transform(room, text, true)
		dst, text = dst[:len(dst)+n], text[used:]
		if len(text) == 0 && err == nil {
			return dst
		}
		if err != nil && n == 0 && used == 0 && len(room) > 64 {
			// Not a lack of room: the rest is no text in the encoding.
			return utf8.AppendRune(dst, utf8.RuneError)
		}
		dst = append(dst, make([]byte, len(text)+64)...)[:len(dst)]
	}
}
