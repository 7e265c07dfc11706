// Package record_modifier is the filter record_modifier: it adds constant
// fields, and removes fields by their keys.
package record_modifier

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the filter.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindFilter,
		Name:    "record_modifier",
		Summary: "Adds constant fields and removes fields by their keys",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	Record    [][]string
	RemoveKey []string
	AllowKey  []string
	WhiteKey  []string
	UUIDKey   string
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.Words(&c.Record, "record", 2, 2,
			"A key and a value to add at the end of every record. Text with blanks stands in double quotes."),
		option.Lines(&c.RemoveKey, "remove_key",
			"A key to remove, or the start of keys with a star behind it. The case of letters does not matter."),
		option.Lines(&c.AllowKey, "allowlist_key",
			"A key to keep, or the start of keys with a star behind it; all others are removed. The case of letters does not matter."),
		option.Lines(&c.WhiteKey, "whitelist_key", "The former name of allowlist_key."),
		option.String(&c.UUIDKey, "uuid_key", "",
			"A key under which every record gets a random UUID."),
	}
}

// New makes the filter.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	f := &Filter{log: env.Log}
	for _, words := range c.Record {
		if len(words) != 2 {
			env.Log.Warn("a record is not a key and a value and is ignored, as in Fluent Bit; put text with blanks in double quotes",
				"record", strings.Join(words, " "))
			continue
		}
		f.add = append(f.add, event.Field{
			Key: event.AppendString(nil, words[0]),
			Val: event.AppendString(nil, words[1]),
		})
	}
	allow := slices.Concat(c.AllowKey, c.WhiteKey)
	if len(c.RemoveKey) > 0 && len(allow) > 0 {
		return nil, option.At("allowlist_key", errors.New("remove_key and allowlist_key cannot be used together"))
	}
	f.allow = len(allow) > 0
	for _, key := range slices.Concat(c.RemoveKey, allow) {
		if key == "" {
			return nil, fmt.Errorf("a key of remove_key or allowlist_key is empty")
		}
		name, prefix := strings.CutSuffix(key, "*")
		f.keys = append(f.keys, pattern{lower([]byte(name)), prefix})
	}
	if c.UUIDKey != "" {
		f.uuidKey = event.AppendString(nil, c.UUIDKey)
	}
	return f, nil
}

// Filter adds and removes fields.
type Filter struct {
	add     []event.Field // constants that records alias
	keys    []pattern
	allow   bool        // keys are those that stay
	uuidKey event.Value // nil: none
	log     *slog.Logger
}

var _ plugin.Filter = (*Filter)(nil)

// pattern is a key in lower case, or the start of keys.
type pattern struct {
	name   string
	prefix bool
}

func (p *pattern) matches(name []byte) bool {
	if len(name) < len(p.name) || len(name) != len(p.name) && !p.prefix {
		return false
	}
	for i := range len(p.name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != p.name[i] {
			return false
		}
	}
	return true
}

// lower makes the ASCII letters of s small.
func lower(s []byte) string {
	for i, c := range s {
		if 'A' <= c && c <= 'Z' {
			s[i] = c + 'a' - 'A'
		}
	}
	return string(s)
}

// Filter adds and removes the fields of all events of b.
func (f *Filter) Filter(_ context.Context, b *event.Batch) error {
	modified, empty := false, 0
	if len(f.keys) > 0 {
		for i := range b.Events {
			left, changed := f.remove(&b.Events[i])
			modified = modified || changed
			if left == 0 {
				empty++
			}
		}
	}
	if len(f.add) > 0 || f.uuidKey != nil {
		f.append(b)
		return nil
	}
	if modified && empty > 0 {
		f.dropEmpty(b, empty)
	}
	return nil
}

// stays tells whether the field with the key is not one to be removed.
func (f *Filter) stays(key event.Value) bool {
	name, ok := key.Str()
	if ok {
		for i := range f.keys {
			if f.keys[i].matches(name) {
				return f.allow
			}
		}
	}
	return !f.allow
}

// remove takes the fields away, but leaves a record as it is that would be
// empty and nothing is added to. It returns how many fields are to be left.
func (f *Filter) remove(e *event.Event) (left int, changed bool) {
	fields := e.Fields()
	first := 0
	for first < len(fields) && f.stays(fields[first].Key) {
		first++
	}
	if first == len(fields) {
		return first, false
	}
	if first == 0 && f.leavesNothing(fields) {
		if len(f.add) > 0 || f.uuidKey != nil {
			e.SetFields(fields[:0])
		}
		return 0, true
	}
	n := first
	for i := first + 1; i < len(fields); i++ {
		if f.stays(fields[i].Key) {
			fields[n] = fields[i]
			n++
		}
	}
	e.SetFields(fields[:n])
	return n, true
}

func (f *Filter) leavesNothing(fields []event.Field) bool {
	for i := range fields {
		if f.stays(fields[i].Key) {
			return false
		}
	}
	return true
}

// dropEmpty drops the events that have no fields to be left. If that is all of
// them, Fluent Bit takes the result for no change and passes all on as they
// were; so does this.
func (f *Filter) dropEmpty(b *event.Batch, empty int) {
	if empty == len(b.Events) {
		f.log.Warn("no record of a batch would have a field left, so they stay as they are, as in Fluent Bit", "records", empty)
		return
	}
	b.Events = slices.DeleteFunc(b.Events, func(e event.Event) bool {
		return f.leavesNothing(e.Fields())
	})
}

func (f *Filter) append(b *event.Batch) {
	var random []byte
	for i := range b.Events {
		e := &b.Events[i]
		for _, field := range f.add {
			e.Append(field.Key, field.Val)
		}
		if f.uuidKey == nil {
			continue
		}
		if len(random) == 0 {
			random = make([]byte, 16*min(len(b.Events)-i, 256))
			_, _ = rand.Read(random) // It never fails.
		}
		e.Append(f.uuidKey, b.SetArena(appendUUID(event.AppendStringHeader(b.Arena(40), 36), random[:16])))
		random = random[16:]
	}
}

// appendUUID appends a version 4 UUID (RFC 9562) made from 16 random bytes,
// which it changes.
func appendUUID(dst, r []byte) []byte {
	r[6] = r[6]&0x0f | 0x40
	r[8] = r[8]&0x3f | 0x80
	dst = append(hex.AppendEncode(dst, r[:4]), '-')
	dst = append(hex.AppendEncode(dst, r[4:6]), '-')
	dst = append(hex.AppendEncode(dst, r[6:8]), '-')
	dst = append(hex.AppendEncode(dst, r[8:10]), '-')
	return hex.AppendEncode(dst, r[10:])
}
