package tail

import (
	"bytes"
	"unicode/utf8"

	"github.com/kagarilog/kagari/event"
)

// cut is what lines found in a piece of a file.
type cut struct {
	used int   // bytes that need not be read again
	safe int   // end of the last line in used, or -1 if none ends there
	rest bool  // there are more complete lines in the piece
	err  error // errTooLong
}

// lines cuts data, which starts at offset at of f, into lines and adds a record
// of each to b, until data has no more complete lines or b is full. With final
// set, what stands behind the last line feed is a line, too.
func (in *Input) lines(b *event.Batch, f *file, data []byte, at, ns int64, final bool) cut {
	if f.join != nil {
		defer f.join.end(b)
	}
	c := cut{safe: -1}
	if !f.skipping {
		// What a writer leaves that goes on at its old offset after the file was
		// truncated.
		for c.used < len(data) && data[c.used] == 0 {
			c.used++
		}
		c.used -= c.used % int(f.unicode.width())
		if c.used > 0 {
			c.safe = c.used
		}
		if at == 0 && c.used == 0 && in.cfg.UnicodeEncoding != "" && f.unicode == plainText && bytes.HasPrefix(data, utf8BOM) {
			c.used = len(utf8BOM)
		}
	}
	for c.used < len(data) {
		rest := data[c.used:]
		end, size := 0, 1
		if f.unicode == plainText {
			end = bytes.IndexByte(rest, '\n')
		} else {
			end, size = f.unicode.lineEnd(rest, at+int64(c.used))
		}
		if end < 0 {
			in.unfinished(b, f, rest, &c, at, ns, final)
			return c
		}
		if len(b.Events) >= maxEvents {
			c.rest = true
			return c
		}
		line := rest[:end]
		switch {
		case f.skipping:
			f.skipping = false
		case end > in.longest:
			if c.err = in.tooLong(b, f, line, at+int64(c.used), ns); c.err != nil {
				return c
			}
		case in.cfg.SkipEmptyLines && isEmpty(line, f.unicode):
		default:
			in.record(b, f, line, at+int64(c.used), ns)
		}
		c.used += end + size
		c.safe = c.used
	}
	return c
}

// unfinished handles what stands behind the last line feed.
func (in *Input) unfinished(b *event.Batch, f *file, rest []byte, c *cut, at, ns int64, final bool) {
	switch {
	case f.skipping:
		c.used += len(rest)
		if final {
			f.skipping = false
			c.safe = c.used
		}
	case len(rest) > in.longest:
		if c.err = in.tooLong(b, f, rest, at+int64(c.used), ns); c.err != nil {
			return
		}
		c.used += len(rest)
		f.skipping = !final
		if final {
			c.safe = c.used
		}
	case final && len(b.Events) < maxEvents:
		in.record(b, f, rest, at+int64(c.used), ns)
		c.used += len(rest)
		c.safe = c.used
	case final:
		c.rest = true
	}
}

// isEmpty tells whether a line is what Skip_Empty_Lines drops: nothing, or a
// carriage return.
func isEmpty(line []byte, kind unicodeKind) bool {
	switch kind {
	case utf16LE:
		return len(line) == 0 || string(line) == "\r\x00"
	case utf16BE:
		return len(line) == 0 || string(line) == "\x00\r"
	}
	return len(line) == 0 || len(line) == 1 && line[0] == '\r'
}

// tooLong drops or cuts a line, or the start of one, according to the options.
func (in *Input) tooLong(b *event.Batch, f *file, line []byte, at, ns int64) error {
	switch {
	case in.cfg.TruncateLongLines:
		in.truncatedLines.Add(1)
		if in.joining.core == nil && f.join != nil {
			f.join.flush(b, at, ns, true)
		}
		in.setRaw(b, b.Add(ns), f, in.text(b, f, in.truncate(line, f), at), at)
	case in.cfg.SkipLongLines:
		in.log.Warn("lines that are too long are dropped", "file", f.path, "buffer_max_size", in.cfg.BufferMaxSize)
		in.skippedLines.Add(1)
		in.stats.Drop("line_too_long", 1)
	default:
		return errTooLong
	}
	return nil
}

// truncate cuts a line to one byte less than Buffer_Max_Size, where Fluent Bit
// cuts it, but not within a character.
func (in *Input) truncate(line []byte, f *file) []byte {
	most := in.longest + 1
	if len(line) <= most {
		return line
	}
	if f.unicode != plainText {
		return line[:most-most%2]
	}
	if in.enc != nil {
		return line[:most]
	}
	end := most
	for end > 0 && most-end < utf8.UTFMax && !utf8.RuneStart(line[end]) {
		end--
	}
	if !utf8.RuneStart(line[end]) {
		end = most // no text in UTF-8
	}
	return line[:end]
}
