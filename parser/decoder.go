package parser

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
)

// decoders are the options Decode_Field and Decode_Field_As, which look into
// text fields of a parsed record. Decode_Field adds what it finds to the end of
// the record; Decode_Field_As puts it in the place of the text. Of several
// fields with Decode_Field only the last one of a record adds something, as in
// Fluent Bit.
type decoders []fieldDecoder

// fieldDecoder is what is to be done with one field.
type fieldDecoder struct {
	field string
	rules []decodeRule
	adds  bool // one of the rules is a Decode_Field
}

// decodeRule is one line of the configuration.
type decodeRule struct {
	as       bool      // Decode_Field_As
	unescape unescaper // nil for json
	next     nextRule
}

// nextRule says when the rule behind one is applied.
type nextRule uint8

const (
	nextNever  nextRule = iota
	nextFailed          // try_next: if this one failed
	nextAlways          // do_next
)

// unescapers are the decoders that make text of text.
var unescapers = map[string]unescaper{"escaped": unescape, "escaped_utf8": unescapeUTF8, "mysql_quoted": unquoteMySQL}

// newDecoders reads the options. What Fluent Bit goes on without is a warning:
// as there, one rule that cannot be read turns all of a parser off.
func newDecoders(specs []DecoderSpec) (decoders, []problem) {
	var ps []problem
	broken, adding := false, 0
	var all decoders
	for _, spec := range specs {
		key := "decode_field"
		if spec.As {
			key = "decode_field_as"
		}
		warn := func(format string, args ...any) {
			ps = append(ps, problem{key: key, severity: option.Warning, pos: spec.Pos,
				message: fmt.Sprintf("option %q: ", key) + fmt.Sprintf(format, args...)})
		}
		const off = "; no field of this parser is decoded"
		if len(spec.Words) < 2 {
			warn("%q is not of the form decoder field [action]"+off, strings.Join(spec.Words, " "))
			broken = true
			continue
		}
		decoder, field := strings.ToLower(spec.Words[0]), spec.Words[1]
		rule := decodeRule{as: spec.As, unescape: unescapers[decoder]}
		if rule.unescape == nil && decoder != "json" {
			warn("decoder %q is not one of json, escaped, escaped_utf8, mysql_quoted"+off, spec.Words[0])
			broken = true
			continue
		}
		if !spec.As && rule.unescape != nil {
			warn("decoder %s gives text, which is not added to records; use decode_field_as", decoder)
		}
		if len(spec.Words) > 2 {
			switch action := spec.Words[2]; strings.ToLower(action) {
			case "try_next":
				rule.next = nextFailed
			case "do_next":
				rule.next = nextAlways
			default:
				warn("action %q is neither try_next nor do_next and is ignored", action)
			}
		}
		at := slices.IndexFunc(all, func(d fieldDecoder) bool { return d.field == field })
		if at < 0 {
			at = len(all)
			all = append(all, fieldDecoder{field: field})
		}
		all[at].rules = append(all[at].rules, rule)
		if !spec.As && !all[at].adds {
			all[at].adds = true
			if adding++; adding == 2 {
				warn("of several fields only the last one of a record adds what is in it; use decode_field_as for others")
			}
		}
	}
	if broken {
		return nil, ps
	}
	return all, ps
}

// decodeRoom is memory for values on their way through rules. get and put are
// the pool's.
type decodeRoom struct {
	text  []byte // the text that the next rule reads
	spare []byte // where a rule writes
	extra []byte // the fields of Decode_Field
}

var decodeRooms = sync.Pool{New: func() any { return new(decodeRoom) }}

func getDecodeRoom() *decodeRoom { return decodeRooms.Get().(*decodeRoom) }

func putDecodeRoom(r *decodeRoom) {
	const keep = 1 << 20
	if cap(r.text)+cap(r.spare)+cap(r.extra) <= keep {
		decodeRooms.Put(r)
	}
}

// decode returns the record with its fields decoded, in memory of the batch, or
// record itself if there is none to decode.
func (d decoders) decode(batch *event.Batch, record event.Value) event.Value {
	n, rest, err := event.ReadMapHeader(record)
	if err != nil || !d.concerns(rest, n) {
		return record
	}
	room := getDecodeRoom()
	defer putDecodeRoom(room)
	room.extra = room.extra[:0]
	added := 0
	arena := batch.Arena(len(record) + len(record)/2 + 64)
	out := event.AppendMapHeader(arena, n)
	head := len(out) - len(arena)
	for range n {
		key, behind, err := event.Next(rest)
		if err != nil {
			return record
		}
		var val event.Value
		if val, rest, err = event.Next(behind); err != nil {
			return record
		}
		out = append(out, key...)
		field := d.of(key)
		if field == nil || val.Kind() != event.KindString {
			out = append(out, val...)
			continue
		}
		if field.adds {
			room.extra, added = room.extra[:0], 0
		}
		var n int
		if out, n = field.decode(out, val, room); n > 0 {
			added = n
		}
	}
	if added > 0 {
		out = append(out, room.extra...)
		out = replaceHeader(out, len(arena), head, n+added)
	}
	return batch.SetArena(out)
}

// concerns tells whether one of the n entries of b is to be decoded.
func (d decoders) concerns(b []byte, n int) bool {
	for range n {
		key, rest, err := event.Next(b)
		if err != nil {
			return false
		}
		if d.of(key) != nil {
			return true
		}
		if _, b, err = event.Next(rest); err != nil {
			return false
		}
	}
	return false
}

// of returns what is to be done with the field of that key, or nil.
func (d decoders) of(key event.Value) *fieldDecoder {
	if key.Kind() != event.KindString {
		return nil
	}
	name, _ := key.Str()
	for i := range d {
		if d[i].field == string(name) {
			return &d[i]
		}
	}
	return nil
}

// decode appends the value that the field has afterwards to out, and what
// Decode_Field found to room.extra, of which it returns the number of fields.
// Each option counts once, except that text which Decode_Field_As made is
// decoded again by the rules behind.
func (f *fieldDecoder) decode(out []byte, val event.Value, room *decodeRoom) (_ []byte, added int) {
	text, _ := val.Str()
	var isText, isMap, hasFields bool // what was decoded
	for _, r := range f.rules {
		if isMap || hasFields && !r.as && r.next == nextAlways {
			continue
		}
		ok := true
		switch {
		case r.as && r.unescape != nil:
			room.spare = r.unescape(room.spare[:0], text)
			room.text, room.spare = room.spare, room.text
			text, isText = room.text, true
		case r.as:
			out, ok = appendJSONField(out, text)
			isMap = ok
		case r.unescape != nil:
			room.extra, added, hasFields = room.extra[:0], 0, true
		default:
			mark := len(room.extra)
			var n int
			if room.extra, n, ok = appendFields(room.extra, text); ok {
				room.extra = moveDown(room.extra, 0, mark)
				added, hasFields = n, true
			}
		}
		if r.next == nextAlways || r.next == nextFailed && !ok {
			continue
		}
		break
	}
	switch {
	case isMap:
	case isText:
		out = appendText(out, text)
	default:
		out = append(out, val...)
	}
	return out, added
}

// moveDown moves what is behind from in b down to start and cuts off the rest.
func moveDown(b []byte, start, from int) []byte {
	return b[:start+copy(b[start:], b[from:])]
}

// appendJSONField appends text as a map, if it is one JSON object with nothing
// but blanks in front.
func appendJSONField(dst, text []byte) ([]byte, bool) {
	text = bytes.TrimLeft(text, " ")
	if len(text) == 0 || text[0] != '{' {
		return dst, false
	}
	return appendJSONObject(dst, text)
}

// appendFields is appendJSONField without the header of the map; n is the
// number of fields.
func appendFields(dst, text []byte) (out []byte, n int, ok bool) {
	start := len(dst)
	if out, ok = appendJSONField(dst, text); !ok {
		return dst, 0, false
	}
	n, rest, err := event.ReadMapHeader(out[start:])
	if err != nil {
		panic("BUG: JSON gave a map that cannot be read: " + err.Error())
	}
	return moveDown(out, start, len(out)-len(rest)), n, true
}
