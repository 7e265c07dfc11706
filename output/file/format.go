package file

import (
	"strconv"
	"strings"

	"github.com/kagarilog/kagari/event"
)

// appendRecord appends the line of a record in the output's format.
func (o *Output) appendRecord(dst []byte, tag string, cur *event.Cursor) []byte {
	switch o.format {
	case formatPlain:
		return append(event.AppendValueJSON(dst, cur.Record, o.json), '\n')
	case formatCSV:
		return o.appendCSV(dst, cur)
	case formatLTSV:
		return o.appendLTSV(dst, cur)
	case formatTemplate:
		return o.appendTemplate(dst, cur)
	case formatMsgpack:
		return append(dst, cur.Entry()...)
	}
	dst = appendTag(dst, tag)
	dst = append(dst, ": ["...)
	dst = appendSeconds(dst, cur.Time)
	dst = append(dst, ", "...)
	dst = event.AppendValueJSON(dst, cur.Record, o.json)
	return append(dst, "]\n"...)
}

// appendTag appends a tag with its control characters escaped as in JSON, so
// that a sender's tag cannot add a line.
func appendTag(dst []byte, tag string) []byte {
	for i := range len(tag) {
		if c := tag[i]; c < ' ' || c == 0x7f {
			const digits = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// appendSeconds appends seconds since the Unix epoch with nine digits behind
// the point.
func appendSeconds(dst []byte, ns int64) []byte {
	dst = strconv.AppendInt(dst, ns/1e9, 10)
	dst = append(dst, '.')
	frac := ns % 1e9
	for unit := int64(1e8); unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+frac/unit%10))
	}
	return dst
}

// appendMicros appends seconds since the Unix epoch with six digits behind the
// point. They pass through a float64, as in Fluent Bit.
func appendMicros(dst []byte, ns int64) []byte {
	f := float64(ns/1e9) + float64(ns%1e9)/1e9
	return strconv.AppendFloat(dst, f, 'f', 6, 64)
}

// appendCSV appends nothing for an empty record, as does appendLTSV.
func (o *Output) appendCSV(dst []byte, cur *event.Cursor) []byte {
	if cur.Record.Len() == 0 {
		return dst
	}
	dst = appendSeconds(dst, cur.Time)
	for _, val := range cur.Record.Pairs() {
		dst = append(dst, o.delimiter...)
		dst = event.AppendText(dst, val)
	}
	return append(dst, '\n')
}

// appendColumns appends the line of names for a record of the format csv.
func (o *Output) appendColumns(dst []byte, record event.Value) []byte {
	dst = append(dst, "timestamp"...)
	for key := range record.Pairs() {
		dst = append(dst, o.delimiter...)
		dst = event.AppendText(dst, key)
	}
	return append(dst, '\n')
}

func (o *Output) appendLTSV(dst []byte, cur *event.Cursor) []byte {
	if cur.Record.Len() == 0 {
		return dst
	}
	dst = append(dst, `"time"`...)
	dst = append(dst, o.labelDelimiter...)
	dst = appendMicros(dst, cur.Time)
	for key, val := range cur.Record.Pairs() {
		dst = append(dst, o.delimiter...)
		dst = event.AppendText(dst, key)
		dst = append(dst, o.labelDelimiter...)
		dst = event.AppendText(dst, val)
	}
	return append(dst, '\n')
}

// templatePart is text, or a key together with the braces around it.
type templatePart struct {
	text string
	key  bool
}

// parseTemplate splits a template into its parts. A brace that opens before the
// last one was closed makes text of what is before it, and so does the end.
func parseTemplate(s string) []templatePart {
	var parts []templatePart
	text := func(t string) {
		if t != "" {
			parts = append(parts, templatePart{text: t})
		}
	}
	for {
		closing := strings.IndexByte(s, '}')
		if closing < 0 {
			text(s)
			return parts
		}
		opening := strings.LastIndexByte(s[:closing], '{')
		if opening < 0 {
			text(s[:closing+1])
		} else {
			text(s[:opening])
			parts = append(parts, templatePart{text: s[opening : closing+1], key: true})
		}
		s = s[closing+1:]
	}
}

// timeKey stands for the time in a template.
const timeKey = "time"

func (o *Output) appendTemplate(dst []byte, cur *event.Cursor) []byte {
	for _, part := range o.template {
		if !part.key {
			dst = append(dst, part.text...)
			continue
		}
		key := part.text[1 : len(part.text)-1]
		// In Fluent Bit any beginning of "time" means the time, even {}.
		if len(key) <= len(timeKey) && timeKey[:len(key)] == key {
			dst = appendMicros(dst, cur.Time)
		} else if val, ok := first(cur.Record, key); !ok {
			dst = append(dst, part.text...)
		} else if s, isText := val.Str(); isText && val.Kind() == event.KindString {
			dst = append(dst, s...)
		} else {
			dst = event.AppendText(dst, val)
		}
	}
	return append(dst, '\n')
}

// first returns the value of the first key of that name, where a template
// differs from other lookups.
func first(record event.Value, name string) (event.Value, bool) {
	for key, val := range record.Pairs() {
		if s, ok := key.Str(); ok && string(s) == name {
			return val, true
		}
	}
	return nil, false
}
