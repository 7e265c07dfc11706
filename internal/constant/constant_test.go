package constant

import (
	"testing"

	"github.com/kagarilog/kagari/event"
)

func TestFieldsComeLastAndKeysMayBeTwice(t *testing.T) {
	var f Fields
	f.Add("a", "x")
	f.Add("b", "")
	for _, open := range [...]bool{false, true} {
		b := event.NewBatch("t")
		e := b.Add(0)
		packed, _, err := event.AppendJSON(nil, []byte(`{"a":1,"c":[2]}`))
		if err != nil {
			t.Fatal(err)
		}
		e.SetRecord(packed)
		if open {
			e.Fields()
		}
		f.AppendTo(e)
		if got, want := string(event.AppendText(nil, e.Record())), `{"a"=>1, "c"=>[2], "a"=>"x", "b"=>""}`; got != want {
			t.Errorf("the record (opened before: %t) is %s, expected %s", open, got, want)
		}
		b.Free()
	}
}

func TestMoreFieldsThanAShortHeaderHolds(t *testing.T) {
	var f Fields
	for range 14 {
		f.Add("k", "v")
	}
	b := event.NewBatch("t")
	defer b.Free()
	e := b.Add(0)
	for range 3 {
		f.AppendTo(e)
	}
	if n := e.Len(); n != 42 || len(e.Fields()) != 42 {
		t.Errorf("the record has %d fields, expected 42", n)
	}
}

func TestNoFieldsChangeNothing(t *testing.T) {
	b := event.NewBatch("t")
	defer b.Free()
	e := b.Add(0)
	before := e.Record()
	new(Fields).AppendTo(e)
	if &e.Record()[0] != &before[0] {
		t.Error("the record was copied")
	}
}
