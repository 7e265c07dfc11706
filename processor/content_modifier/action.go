package content_modifier

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/regex"
)

// reason says why an event was left as it is.
type reason string

// The reasons. That insert finds the key, or delete does not, is none.
const (
	keyMissing     reason = "key_missing"
	notText        reason = "not_text"
	noMatch        reason = "no_match"
	notConvertible reason = "not_convertible"
)

// edit applies the action to fields, which it may change, and returns what
// they have become. They are those of the event's record if body is set, else
// those of a map of its metadata. As in Fluent Bit the first of several fields
// with the key is meant.
func (p *Processor) edit(e *event.Event, body bool, fields []event.Field) (out []event.Field, changed bool, why reason) {
	at := slices.IndexFunc(fields, p.isKey)
	switch p.action {
	case actionInsert:
		if at >= 0 {
			return fields, false, ""
		}
		return add(e, body, fields, p.first, p.second), true, ""
	case actionUpsert:
		if at >= 0 {
			fields = remove(fields, at)
		}
		return add(e, body, fields, p.first, p.second), true, ""
	}
	if at < 0 {
		return fields, false, p.missing(false)
	}
	switch p.action {
	case actionDelete:
		return remove(fields, at), true, ""
	case actionRename:
		fields[at].Key = p.second
		return fields, true, ""
	case actionHash:
		v, ok := hash(e.Batch(), fields[at].Val)
		if !ok {
			return fields, false, notConvertible
		}
		fields[at].Val = v
		return fields, true, ""
	case actionConvert:
		v, ok := convert(e.Batch(), fields[at].Val, p.typ)
		if !ok {
			return fields, false, notConvertible
		}
		// The converted value goes to the end.
		return append(remove(fields, at), event.Field{Key: p.first, Val: v}), true, ""
	default:
		return p.extract(e, body, fields, at)
	}
}

// missing is the reason why an event without the key stays as it is.
func (p *Processor) missing(found bool) reason {
	if !found && (p.action == actionExtract || p.action == actionConvert) {
		return keyMissing
	}
	return ""
}

func (p *Processor) isKey(f event.Field) bool { return f.Is(p.key) }

// remove takes a field out, keeping the order and the room for another one.
func remove(fields []event.Field, at int) []event.Field {
	copy(fields[at:], fields[at+1:])
	return fields[:len(fields)-1]
}

// add appends a field. Those of a record that have no room left move to other
// memory of the batch.
func add(e *event.Event, body bool, fields []event.Field, key, val event.Value) []event.Field {
	if !body || len(fields) < cap(fields) {
		return append(fields, event.Field{Key: key, Val: val})
	}
	e.SetFields(fields)
	e.Append(key, val)
	return e.Fields()
}

// group is a named group of the pattern.
type group struct {
	name []byte
	key  event.Value
	at   int // index into the captures
}

// isOf tells whether the field has the name of the group, in any case of letters.
func (g *group) isOf(f event.Field) bool {
	name := f.Name()
	return len(name) == len(g.name) && bytes.EqualFold(name, g.name)
}

// groupsOf returns the named groups of an expression in the order of their
// names' first occurrence.
func groupsOf(re *regex.Regexp) (groups []group) {
	names := re.Names()
	for i, name := range names {
		if name == "" || slices.Index(names, name) < i {
			continue
		}
		for j := i; j < len(names); j++ {
			if names[j] == name {
				groups = append(groups, group{name: []byte(name), key: event.AppendString(nil, name), at: 2 * j})
			}
		}
	}
	return groups
}

// maxCaptures is how many captures fit without memory of their own.
const maxCaptures = 32

// extract matches the pattern against the field's text. Every named group
// replaces all fields of its name, whatever their case; one that took no part
// in the match is the empty text.
func (p *Processor) extract(e *event.Event, body bool, fields []event.Field, at int) ([]event.Field, bool, reason) {
	if fields[at].Val.Kind() != event.KindString {
		return fields, false, notText
	}
	text, _ := fields[at].Val.Str()
	var room [2 * maxCaptures]int
	caps, ok, err := p.regex.FindAt(text, 0, room[:0])
	if err != nil {
		p.log.Warn("a regular expression was given up and counts as not matching", "pattern", p.regex.String(), "error", err)
	}
	if !ok {
		return fields, false, noMatch
	}
	for i := range p.groups {
		g := &p.groups[i]
		fields = slices.DeleteFunc(fields, g.isOf)
		var value []byte
		if from, to := caps[g.at], caps[g.at+1]; from >= 0 {
			value = text[from:to]
		}
		fields = add(e, body, fields, g.key, e.Batch().Text(value))
	}
	return fields, true, ""
}

// hash returns the SHA-256 of the value's text. Empty text stays as it is.
func hash(b *event.Batch, v event.Value) (event.Value, bool) {
	var room [64]byte
	text, ok := appendText(room[:0], v)
	if !ok {
		return nil, false
	}
	if len(text) == 0 {
		return v, true
	}
	sum := sha256.Sum256(text)
	var digits [2 * sha256.Size]byte
	hex.Encode(digits[:], sum[:])
	return b.Text(digits[:]), true
}
