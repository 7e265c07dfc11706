package syslog

import (
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// The formats, with their layouts:
//
//	rfc5424  <PRI>1 2023-11-14T22:13:20.123456Z HOST APP PROCID MSGID [SD] BOM message
//	rfc3164  <PRI>Nov 14 22:13:20 HOST APP[PROCID]: message
//
// A missing part is "-" in the one and left out in the other; the BOM is there
// only with a message. A message that begins with "<" is taken for a complete
// one and sent as it is.
const (
	rfc5424 = "rfc5424"
	rfc3164 = "rfc3164"
)

// The parts of a message that come from keys.
const (
	severity = iota
	facility
	hostname
	appname
	procid
	msgid
	message
	parts
)

// format is the options that shape a message.
type format struct {
	rfc       string
	keys      [parts]string // "" for none
	presets   [parts]string // of texts; "" for none
	severity  int           // presets of numbers
	facility  int
	sd        []string
	longNames bool
	limit     int // bytes

	stats *plugin.Stats
	log   *slog.Logger
}

// fields are the parts found in one record. Texts alias the record or scratch.
type fields struct {
	severity, facility int // -1 for none
	text               [parts][]byte
	has                [parts]bool
	sd                 []byte
	scratch            []byte // text of numbers
}

func (m *fields) reset() {
	m.severity, m.facility = -1, -1
	clear(m.text[:])
	clear(m.has[:])
	m.sd, m.scratch = m.sd[:0], m.scratch[:0]
}

var severities = []string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}

var facilities = []string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
	"ftp", "ntp", "security", "console", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}

// append appends the message for a record, at most limit bytes.
func (f *format) append(dst []byte, m *fields, ns int64, rec event.Value) []byte {
	m.reset()
	for key, val := range rec.Pairs() {
		if name, ok := key.Str(); ok {
			f.take(m, name, val)
		}
	}
	start := len(dst)
	switch text := m.text[message]; {
	case len(text) > 0 && text[0] == '<':
		dst = append(dst, text...)
	case f.rfc == rfc3164:
		dst = f.append3164(dst, m, ns)
	default:
		dst = f.append5424(dst, m, ns)
	}
	if len(dst)-start > f.limit {
		f.stats.Counter("kagari_truncated_messages_total", "Messages that were cut because they were too long.", "", "").Add(1)
		f.log.Warn("a message is cut", "size", len(dst)-start, "syslog_maxsize", f.limit)
		end := start + f.limit
		for end > start && end > start+f.limit-utf8.UTFMax && !utf8.RuneStart(dst[end]) {
			end--
		}
		dst = dst[:end]
	}
	return dst
}

// take looks whether a field of the record is a part of the message. The first
// field of a name counts.
func (f *format) take(m *fields, name []byte, val event.Value) {
	if val.Kind() == event.KindMap {
		for _, key := range f.sd {
			if string(name) == key {
				f.addElement(m, name, val)
				break
			}
		}
		return
	}
	for part, key := range f.keys {
		if key == "" || string(name) != key {
			continue
		}
		if m.has[part] {
			return
		}
		text, ok := val.Str()
		if !ok {
			at := len(m.scratch)
			if m.scratch, ok = appendScalar(m.scratch, val); !ok {
				return
			}
			text = m.scratch[at:]
		}
		switch part {
		case severity:
			if m.severity = number(text, severities, 1); m.severity < 0 {
				f.log.Warn("a severity is not known", "value", string(text))
				return
			}
		case facility:
			if m.facility = number(text, facilities, 2); m.facility < 0 {
				f.log.Warn("a facility is not known", "value", string(text))
				return
			}
		}
		m.text[part], m.has[part] = text, true
		return
	}
}

// number reads a position in words, as digits or as the word; -1 if it is
// neither.
func number(text []byte, words []string, digits int) int {
	n, isNumber := 0, len(text) > 0 && len(text) <= digits
	for _, c := range text {
		if c < '0' || c > '9' {
			isNumber = false
			break
		}
		n = n*10 + int(c-'0')
	}
	if isNumber {
		if n < len(words) {
			return n
		}
		return -1
	}
	for i, w := range words {
		if w != "" && strings.EqualFold(w, string(text)) {
			return i
		}
	}
	return -1
}

// appendScalar appends numbers and booleans as text.
func appendScalar(dst []byte, v event.Value) ([]byte, bool) {
	switch v.Kind() {
	case event.KindBool, event.KindInt, event.KindUint, event.KindFloat:
		return event.AppendPlain(dst, v)
	}
	return dst, false
}

// addElement adds a map as an element of structured data:
// [name key="value" key="value"].
func (f *format) addElement(m *fields, name []byte, element event.Value) {
	dst := f.appendName(append(m.sd, '['), name)
	for key, val := range element.Pairs() {
		k, ok := key.Str()
		if !ok {
			continue
		}
		text, ok := val.Str()
		if !ok {
			at := len(m.scratch)
			if m.scratch, ok = appendScalar(m.scratch, val); !ok {
				continue
			}
			text = m.scratch[at:]
		}
		dst = f.appendName(append(dst, ' '), k)
		dst = append(dst, '=', '"')
		for _, c := range text {
			if c == '"' || c == '\\' || c == ']' {
				dst = append(dst, '\\')
			}
			dst = append(dst, c)
		}
		dst = append(dst, '"')
	}
	m.sd = append(dst, ']')
}

// maxName is the longest name in structured data (RFC 5424, section 6).
const maxName = 32

func (f *format) appendName(dst, name []byte) []byte {
	if len(name) > maxName && !f.longNames {
		name = name[:maxName]
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == ']' {
			c = '_'
		}
		dst = append(dst, c)
	}
	return dst
}

func (f *format) appendPriority(dst []byte, m *fields) []byte {
	sev, fac := m.severity, m.facility
	if sev < 0 {
		sev = f.severity
	}
	if fac < 0 {
		fac = f.facility
	}
	dst = strconv.AppendInt(append(dst, '<'), int64(fac<<3+sev), 10)
	return append(dst, '>')
}

// appendPart appends a text, or its preset, cut at limit bytes, and tells
// whether there is one.
func (f *format) appendPart(dst []byte, m *fields, part, limit int) ([]byte, bool) {
	if m.has[part] {
		return append(dst, m.text[part][:min(len(m.text[part]), limit)]...), true
	}
	p := f.presets[part]
	return append(dst, p[:min(len(p), limit)]...), p != ""
}

func (f *format) append5424(dst []byte, m *fields, ns int64) []byte {
	dst = append(f.appendPriority(dst, m), '1', ' ')
	dst = time.Unix(0, ns).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000Z")
	// The longest values of RFC 5424, section 6.
	for _, p := range [...]struct{ part, limit int }{{hostname, 255}, {appname, 48}, {procid, 128}, {msgid, 32}} {
		var ok bool
		if dst, ok = f.appendPart(append(dst, ' '), m, p.part, p.limit); !ok {
			dst = append(dst, '-')
		}
	}
	dst = append(dst, ' ')
	if len(m.sd) > 0 {
		dst = append(dst, m.sd...)
	} else {
		dst = append(dst, '-')
	}
	if m.has[message] {
		dst = append(dst, " \xef\xbb\xbf"...)
		dst = append(dst, m.text[message]...)
	}
	return dst
}

func (f *format) append3164(dst []byte, m *fields, ns int64) []byte {
	dst = f.appendPriority(dst, m)
	dst = time.Unix(0, ns).UTC().AppendFormat(dst, "Jan _2 15:04:05 ")
	var ok bool
	if dst, ok = f.appendPart(dst, m, hostname, f.limit); ok {
		dst = append(dst, ' ')
	}
	if dst, ok = f.appendPart(dst, m, appname, f.limit); ok {
		at := len(dst)
		if dst, ok = f.appendPart(append(dst, '['), m, procid, f.limit); ok {
			dst = append(dst, ']')
		} else {
			dst = dst[:at]
		}
		dst = append(dst, ':', ' ')
	}
	return append(dst, m.text[message]...)
}
