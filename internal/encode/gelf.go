package encode

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/kagarilog/kagari/event"
)

// GELF is the names that a record has for the fields of the Graylog Extended
// Log Format 1.1 (https://go2docs.graylog.org, "GELF Payload Specification").
// An empty name is the field's own.
type GELF struct {
	Timestamp    string
	Host         string
	ShortMessage string
	FullMessage  string
	Level        string
}

// ErrNoShortMessage is the error for a record without the field that GELF
// cannot do without.
var ErrNoShortMessage = errors.New("the record has no short_message")

// gelfText escapes as Fluent Bit does, whatever json.escape_unicode says.
var gelfText = event.JSONOptions{EscapeUnicode: true}

func orName(name, own string) string {
	if name == "" {
		return own
	}
	return name
}

// gelfLevels are the words for levels, in their order from 0.
var gelfLevels = [...]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}

// Append appends a record as one GELF message: further fields get an underscore
// in front, maps become fields with their keys joined by underscores, lists and
// booleans become text, null and the field id are left out. Characters that
// names must not have become underscores.
//
// Unlike Fluent Bit, text in lists is escaped and numbers that JSON does not
// have are null. On an error dst is returned as it was.
func (g *GELF) Append(dst []byte, ns int64, rec event.Value) ([]byte, error) {
	start := len(dst)
	special := [...]struct{ name, own string }{
		{orName(g.Host, "host"), "host"},
		{orName(g.ShortMessage, "short_message"), "short_message"},
		{orName(g.Timestamp, "timestamp"), "timestamp"},
		{orName(g.Level, "level"), "level"},
		{orName(g.FullMessage, "full_message"), "full_message"},
	}
	const short, timestamp, level = 1, 2, 3
	var found [len(special)]bool
	dst = append(dst, `{"version":"1.1"`...)
	for key, val := range rec.Pairs() {
		name, ok := key.Str()
		if !ok {
			continue
		}
		prefix, own := "_", string(name)
		n := -1
		for i := range special {
			if own == special[i].name {
				n = i
				break
			}
		}
		switch {
		case n >= 0 && found[n], n < 0 && own == "id":
			continue
		case n >= 0:
			found[n] = true
			prefix, own = "", special[n].own
		}
		if n == level {
			var err error
			if val, err = gelfLevel(val); err != nil {
				return dst[:start], err
			}
		}
		switch val.Kind() {
		case event.KindMap:
			dst = appendGELFMap(dst, "_"+own, val)
		case event.KindNil, event.KindInvalid:
			if n >= 0 {
				found[n] = n != short
			}
		default:
			dst = appendGELFKey(dst, prefix, own)
			dst = appendGELFValue(dst, val)
		}
	}
	if !found[timestamp] {
		sec, nsec := split(ns)
		dst = append(dst, `, "timestamp":`...)
		dst = strconv.AppendInt(dst, sec, 10)
		ms := nsec / 1e6
		dst = append(dst, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
	}
	if !found[short] {
		return dst[:start], ErrNoShortMessage
	}
	return append(dst, '}'), nil
}

// gelfLevel turns the words for levels, and digits in quotes, into numbers.
func gelfLevel(v event.Value) (event.Value, error) {
	switch v.Kind() {
	case event.KindString:
		s, _ := v.Str()
		if len(s) == 1 && s[0] >= '0' && s[0] <= '7' {
			return event.Value{s[0] - '0'}, nil
		}
		for i, word := range gelfLevels {
			if strings.EqualFold(word, string(s)) {
				return event.Value{byte(i)}, nil
			}
		}
		return v, nil
	case event.KindInt, event.KindUint:
		if _, ok := v.Uint(); ok {
			return v, nil
		}
	}
	return nil, fmt.Errorf("the level is %s where a number of 0 and more or a word is expected", v.Kind())
}

// appendGELFMap appends the entries of a map, each as a field of its own.
func appendGELFMap(dst []byte, prefix string, m event.Value) []byte {
	for key, val := range m.Pairs() {
		if key.Kind() != event.KindString {
			continue
		}
		name, _ := key.Str()
		if val.Kind() == event.KindMap {
			dst = appendGELFMap(dst, prefix+"_"+string(name), val)
			continue
		}
		dst = appendGELFKey(dst, prefix, "_", string(name))
		dst = appendGELFValue(dst, val)
	}
	return dst
}

// appendGELFKey appends a comma and the parts of a name.
func appendGELFKey(dst []byte, parts ...string) []byte {
	dst = append(dst, `, "`...)
	for _, p := range parts {
		dst = appendGELFName(dst, p)
	}
	return append(dst, '"', ':')
}

func appendGELFName(dst []byte, name string) []byte {
	for i := range len(name) {
		c := name[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '.' || c == '_') {
			c = '_'
		}
		dst = append(dst, c)
	}
	return dst
}

// appendGELFValue appends a value that is no map.
func appendGELFValue(dst []byte, v event.Value) []byte {
	switch v.Kind() {
	case event.KindFloat:
		f, _ := v.Float()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return append(dst, "null"...)
		}
		return strconv.AppendFloat(dst, f, 'f', 6, 64)
	case event.KindBool:
		b, _ := v.Bool()
		return append(strconv.AppendBool(append(dst, '"'), b), '"')
	case event.KindArray:
		return event.AppendJSONString(dst, appendGELFList(nil, "", v), gelfText)
	}
	return event.AppendValueJSON(dst, v, gelfText)
}

// appendGELFList appends the elements of a list as text, maps in it as
// key=value.
func appendGELFList(dst []byte, prefix string, list event.Value) []byte {
	first := true
	for v := range list.Items() {
		if !first {
			dst = append(dst, ", "...)
		}
		first = false
		dst = appendGELFPlain(dst, prefix, v)
	}
	return dst
}

func appendGELFPlain(dst []byte, prefix string, v event.Value) []byte {
	switch v.Kind() {
	case event.KindArray:
		return appendGELFList(dst, prefix, v)
	case event.KindMap:
		first := true
		for key, val := range v.Pairs() {
			if key.Kind() != event.KindString {
				continue
			}
			name, _ := key.Str()
			full := string(name)
			if prefix != "" {
				full = prefix + "_" + full
			}
			if val.Kind() == event.KindMap {
				dst = appendGELFPlain(dst, full, val)
				first = false
				continue
			}
			if !first {
				dst = append(dst, ' ')
			}
			first = false
			dst = append(appendGELFName(dst, full), '=')
			dst = appendGELFPlain(dst, "", val)
		}
		return dst
	case event.KindString, event.KindBinary:
		s, _ := v.Str()
		return append(dst, s...)
	case event.KindFloat:
		f, _ := v.Float()
		return strconv.AppendFloat(dst, f, 'f', 6, 64)
	}
	return event.AppendValueJSON(dst, v, gelfText)
}
