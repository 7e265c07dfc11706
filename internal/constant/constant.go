// Package constant adds the same fields to many records, as filters do that
// know something about the place where the process runs.
package constant

import "github.com/kagarilog/kagari/event"

// Fields is some fields whose bytes never change. The zero value is none.
// AppendTo is safe for concurrent use once nothing is added any more.
type Fields struct {
	n      int
	packed []byte // keys and values in turn
}

// Add adds a field with a value of text.
func (f *Fields) Add(key, value string) {
	f.n++
	f.packed = event.AppendString(event.AppendString(f.packed, key), value)
}

// Len returns how many fields there are.
func (f *Fields) Len() int { return f.n }

// AppendTo appends the fields to the record of e, behind what it has. A key that
// the record has already is then there twice, and the last counts.
func (f *Fields) AppendTo(e *event.Event) {
	if f.n == 0 {
		return
	}
	n, body, err := event.ReadMapHeader(e.Record())
	if err != nil {
		panic("BUG: a record is no map: " + err.Error())
	}
	b := e.Batch()
	dst := event.AppendMapHeader(b.Arena(5+len(body)+len(f.packed)), n+f.n)
	dst = append(dst, body...)
	e.SetRecord(b.SetArena(append(dst, f.packed...)))
}
