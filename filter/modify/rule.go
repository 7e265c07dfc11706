package modify

import (
	"errors"
	"fmt"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/regex"
)

// op is what a rule does.
type op uint8

const (
	opRename op = iota
	opHardRename
	opAdd
	opSet
	opRemove
	opRemoveWildcard
	opRemoveRegex
	opCopy
	opHardCopy
	opMoveToStart
	opMoveToEnd
)

// arguments is how many words the value of an op has.
func (o op) arguments() int {
	switch o {
	case opRemove, opRemoveWildcard, opRemoveRegex, opMoveToStart, opMoveToEnd:
		return 1
	}
	return 2
}

// rule is one change to a record.
type rule struct {
	op     op
	key    string
	target string // the new key of a rename or copy
	// The key and the second word, encoded: constants that records alias.
	keyValue, second event.Value
	regex            *regex.Regexp // for the key
}

// parseRule reads the value of a rule. The warning says that it does not mean
// what it seems to, or is empty.
func parseRule(o op, line string) (r rule, warning string, err error) {
	words, err := splitWords(line)
	if err != nil {
		return r, "", err
	}
	n := len(words)
	switch {
	case n == 3:
		// Fluent Bit takes this for a rename of the first word to the third.
		warning = "it has three words, so the first key is renamed to the third word; put text with blanks in quotes"
		o = opRename
	case n != o.arguments():
		return r, "", fmt.Errorf("%q has %d words where %d are expected; put text with blanks in quotes", line, n, o.arguments())
	}
	r = rule{op: o, key: words[0], target: words[n-1]}
	if o == opRemoveRegex && r.key == "" {
		return r, "", errors.New("the regular expression is empty")
	}
	// Fluent Bit compiles every key and value as an expression, and refuses what
	// is none, even where the text is meant as it is.
	if r.regex, err = regex.Compile(r.key); err != nil {
		return r, "", err
	}
	if n > 1 {
		if _, err = regex.Compile(r.target); err != nil {
			return r, "", err
		}
	}
	r.keyValue = event.AppendString(nil, r.key)
	r.second = event.AppendString(nil, r.target)
	return r, warning, nil
}

// apply does what the rule says to e.
func (f *Filter) apply(r *rule, e *event.Event) {
	switch r.op {
	case opRename, opHardRename:
		r.rename(e)
	case opAdd:
		if count(e.Fields(), r.key) == 0 {
			e.Append(r.keyValue, r.second)
		}
	case opSet:
		r.remove(e, r.isKey)
		e.Append(r.keyValue, r.second)
	case opRemove:
		r.remove(e, r.isKey)
	case opRemoveWildcard:
		r.remove(e, r.hasPrefix)
	case opRemoveRegex:
		r.remove(e, func(field *event.Field) bool { return matches(r.regex, field.Key, f.log) })
	case opCopy, opHardCopy:
		r.copy(f, e)
	case opMoveToStart:
		r.move(e, true)
	case opMoveToEnd:
		r.move(e, false)
	}
}

func (r *rule) isKey(field *event.Field) bool    { return field.Is(r.key) }
func (r *rule) isTarget(field *event.Field) bool { return field.Is(r.target) }

func (r *rule) hasPrefix(field *event.Field) bool {
	name, ok := field.Key.Str()
	return ok && len(name) >= len(r.key) && string(name[:len(r.key)]) == r.key
}

// count returns how many fields have the key.
func count(fields []event.Field, key string) (n int) {
	for i := range fields {
		if fields[i].Is(key) {
			n++
		}
	}
	return n
}

func (r *rule) remove(e *event.Event, match func(*event.Field) bool) {
	fields := e.Fields()
	n := 0
	for n < len(fields) && !match(&fields[n]) {
		n++
	}
	if n == len(fields) {
		return
	}
	for i := n + 1; i < len(fields); i++ {
		if !match(&fields[i]) {
			fields[n] = fields[i]
			n++
		}
	}
	e.SetFields(fields[:n])
}

func (r *rule) rename(e *event.Event) {
	fields := e.Fields()
	first, taken := -1, false
	for i := range fields {
		if first < 0 && fields[i].Is(r.key) {
			first = i
		}
		taken = taken || fields[i].Is(r.target)
	}
	if first < 0 || taken && r.op == opRename {
		return
	}
	if taken {
		r.remove(e, r.isTarget)
		fields, first = e.Fields(), 0
	}
	for i := first; i < len(fields); i++ {
		if fields[i].Is(r.key) {
			fields[i].Key = r.second
		}
	}
}

// copy puts a copy of the one field with the key right behind it.
func (r *rule) copy(f *Filter, e *event.Event) {
	fields := e.Fields()
	sources, targets := count(fields, r.key), count(fields, r.target)
	if sources == 0 || r.op == opCopy && targets > 0 {
		return
	}
	if sources > 1 || targets > 1 {
		if r.op == opHardCopy {
			f.log.Warn("a field is not copied because there are several with the key of the source or of the copy",
				"source", r.key, "copy", r.target)
		}
		return
	}
	if r.key == r.target {
		return
	}
	if targets == 1 {
		r.remove(e, r.isTarget)
		fields = e.Fields()
	}
	at := 0
	for !fields[at].Is(r.key) {
		at++
	}
	value := fields[at].Val
	e.Append(r.second, value)
	fields = e.Fields()
	copy(fields[at+2:], fields[at+1:])
	fields[at+1] = event.Field{Key: r.second, Val: value}
}

// move brings the fields whose key begins with that of the rule to the start or
// the end, in their order.
func (r *rule) move(e *event.Event, toStart bool) {
	fields := e.Fields()
	var room [32]event.Field
	behind := room[:0]
	n := 0
	for i := range fields {
		if r.hasPrefix(&fields[i]) == toStart {
			fields[n] = fields[i]
			n++
			continue
		}
		behind = append(behind, fields[i])
	}
	copy(fields[n:], behind)
}

// textOf returns what an expression is matched against: text, or the words true
// and false.
func textOf(v event.Value) ([]byte, bool) {
	switch v.Kind() {
	case event.KindString:
		return v.Str()
	case event.KindBool:
		if b, _ := v.Bool(); b {
			return wordTrue, true
		}
		return wordFalse, true
	}
	return nil, false
}

var wordTrue, wordFalse = []byte("true"), []byte("false")

// equals tells whether v is the text s, be it a string or binary.
func equals(v event.Value, s string) bool {
	text, ok := v.Str()
	return ok && string(text) == s
}
