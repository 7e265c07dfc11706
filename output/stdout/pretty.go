package stdout

import (
	"bytes"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kagarilog/kagari/event"
)

// pretty writes lines for people:
//
//	2023-11-14 22:13:20.250 app.web INFO  order placed  id=4711 user="Jo Doe"
//
// Control characters are escaped, so that no text of a log can play tricks on
// the terminal.
type pretty struct {
	zone    *time.Location
	colours bool
}

// The colours (ECMA-48, select graphic rendition).
const (
	reset   = "\x1b[0m"
	dim     = "\x1b[2m"
	red     = "\x1b[31m"
	boldRed = "\x1b[1;31m"
	green   = "\x1b[32m"
	yellow  = "\x1b[33m"
	blue    = "\x1b[34m"
	cyan    = "\x1b[36m"
)

// levelKeys and messageKeys are where logs usually have their level and their
// text; the first that a record has counts.
var (
	levelKeys   = [...]string{"level", "severity", "lvl", "log_level", "loglevel", "Level", "LEVEL", "severity_text"}
	messageKeys = [...]string{"message", "msg", "log", "MESSAGE", "Message", "short_message", "exec", "head"}
)

func (p *pretty) append(dst []byte, tag string, cur *event.Cursor) []byte {
	dst = p.colour(dst, dim)
	dst = time.Unix(0, cur.Time).In(p.zone).AppendFormat(dst, "2006-01-02 15:04:05.000")
	dst = p.colour(dst, reset)
	dst = append(dst, ' ')
	dst = p.colour(dst, cyan)
	dst = appendVisible(dst, []byte(tag))
	dst = p.colour(dst, reset)

	levelKey, level := find(cur.Record, levelKeys[:], levelOf)
	if levelKey != "" {
		dst = append(dst, ' ')
		dst = p.colour(dst, colourOf(level))
		start := len(dst)
		dst = appendVisible(dst, []byte(level))
		for len(dst)-start < 5 {
			dst = append(dst, ' ')
		}
		dst = p.colour(dst, reset)
	}
	messageKey, message := find(cur.Record, messageKeys[:], textOf)
	if messageKey != "" {
		dst = append(dst, ' ')
		dst = appendVisible(dst, []byte(message))
	}
	sep := "  "
	for key, val := range cur.Record.Pairs() {
		name, _ := key.Str()
		if key.Kind() == event.KindString && (string(name) == levelKey || string(name) == messageKey) && len(name) > 0 {
			continue
		}
		dst = append(dst, sep...)
		sep = " "
		dst = p.appendField(dst, key, val)
	}
	if len(cur.Meta) > 1 {
		dst = append(dst, sep...)
		dst = p.appendField(dst, event.Value("\xa8metadata"), cur.Meta)
	}
	return append(dst, '\n')
}

func (p *pretty) colour(dst []byte, code string) []byte {
	if p.colours && code != "" {
		dst = append(dst, code...)
	}
	return dst
}

// appendField appends key=value.
func (p *pretty) appendField(dst []byte, key, val event.Value) []byte {
	dst = p.colour(dst, dim)
	dst = appendWord(dst, key)
	dst = append(dst, '=')
	dst = p.colour(dst, reset)
	return appendWord(dst, val)
}

// appendWord appends a value so that its end can be told: text with blanks or
// the like in quotes, everything but text as JSON.
func appendWord(dst []byte, v event.Value) []byte {
	s, ok := v.Str()
	if !ok {
		// What is a control character is escaped by JSON too, but for the C1 set.
		start := len(dst)
		dst = event.AppendValueJSON(dst, v, event.JSONOptions{})
		return appendVisible(dst[:start], bytes.Clone(dst[start:]))
	}
	if len(s) > 0 && !bytes.ContainsAny(s, " =\"\\") {
		return appendVisible(dst, s)
	}
	dst = append(dst, '"')
	dst = appendVisible(dst, bytes.ReplaceAll(s, []byte{'"'}, []byte(`\"`)))
	return append(dst, '"')
}

// appendVisible appends text with control characters and what is no UTF-8
// escaped. A newline at the end is left out.
func appendVisible(dst, s []byte) []byte {
	s = bytes.TrimRight(s, "\r\n")
	for len(s) > 0 {
		r, size := utf8.DecodeRune(s)
		switch {
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, '\t')
		case r == utf8.RuneError && size == 1, r < 0x20, r >= 0x7f && r < 0xa0:
			for _, c := range s[:size] {
				const hex = "0123456789abcdef"
				dst = append(dst, '\\', 'x', hex[c>>4], hex[c&15])
			}
		default:
			dst = append(dst, s[:size]...)
		}
		s = s[size:]
	}
	return dst
}

// find returns the first of keys that a record has with a value that read
// understands.
func find(record event.Value, keys []string, read func(event.Value) (string, bool)) (key, text string) {
	for _, key := range keys {
		if v, ok := record.Get(key); ok {
			if text, ok := read(v); ok {
				return key, text
			}
		}
	}
	return "", ""
}

func textOf(v event.Value) (string, bool) {
	s, ok := v.Str()
	return string(s), ok
}

// levelOf understands words and the numbers of bunyan and pino, which are
// multiples of ten.
func levelOf(v event.Value) (string, bool) {
	if n, ok := v.Int(); ok {
		words := [...]string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}
		if n%10 != 0 || n < 10 || n > 60 {
			return "", false
		}
		return words[n/10-1], true
	}
	s, ok := v.Str()
	if !ok || len(s) == 0 || len(s) > 20 {
		return "", false
	}
	return strings.ToUpper(string(s)), true
}

// colourOf returns the colour of a level in upper case.
func colourOf(level string) string {
	for _, c := range [...]struct{ prefix, colour string }{
		{"TRAC", dim}, {"DEBUG", blue}, {"DBG", blue}, {"INF", green}, {"NOTICE", green},
		{"WARN", yellow}, {"WRN", yellow}, {"ERR", red},
		{"CRIT", boldRed}, {"FATAL", boldRed}, {"PANIC", boldRed}, {"ALERT", boldRed}, {"EMERG", boldRed},
	} {
		if strings.HasPrefix(level, c.prefix) {
			return c.colour
		}
	}
	return ""
}
