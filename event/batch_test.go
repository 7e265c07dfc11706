package event_test

import (
	"bytes"
	"testing"

	"github.com/kagarilog/kagari/event"
)

func TestACopyOutlivesItsBatch(t *testing.T) {
	for _, opened := range []bool{false, true} {
		from, to := event.NewBatch("a"), event.NewBatch("b")
		e := from.Add(7)
		e.Append(from.String("k"), from.String("value"))
		e.Meta = from.SetArena(event.AppendMapHeader(from.Arena(1), 0))
		if !opened {
			e.Record()
		}
		c := to.AddCopy(e)
		from.Grow(1)
		for i := range 100 {
			from.String("overwritten" + string(rune('a'+i%26)))
		}
		from.Free()
		reuse := event.NewBatch("c")
		reuse.Text(bytes.Repeat([]byte("#"), 1000))
		if v, ok := c.Get("k"); !ok || string(v[1:]) != "value" || c.Time != 7 || !bytes.Equal(c.Meta, []byte{0x80}) || c.Batch() != to {
			t.Errorf("with opened %t the copy is %q at %d with metadata %x", opened, c.Record(), c.Time, c.Meta)
		}
		reuse.Free()
		to.Free()
	}
}
