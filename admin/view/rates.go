package view

import (
	"time"

	"github.com/kagarilog/kagari/admin"
)

// Rates fills in the rates of cur from the counters of prev, an earlier status
// of the same router. Where there is nothing to compare with, or a counter was
// started again, there is no rate.
func Rates(prev, cur *admin.Status) {
	span := cur.Time.Sub(prev.Time)
	if span <= 0 || cur.Uptime < prev.Uptime {
		return
	}
	for i := range cur.Inputs {
		in := &cur.Inputs[i]
		if old := find(prev.Inputs, func(p *admin.Input) bool { return p.Name == in.Name }); old != nil {
			in.RecordsPerSecond, in.BytesPerSecond = rate(old.Records, in.Records, span), rate(old.Bytes, in.Bytes, span)
		}
	}
	for i := range cur.Filters {
		f := &cur.Filters[i]
		if old := find(prev.Filters, func(p *admin.Filter) bool { return p.Name == f.Name && p.Owner == f.Owner }); old != nil {
			f.InPerSecond = rate(old.In, f.In, span)
		}
	}
	for i := range cur.Outputs {
		o := &cur.Outputs[i]
		if old := find(prev.Outputs, func(p *admin.Output) bool { return p.Name == o.Name }); old != nil {
			o.RecordsPerSecond, o.BytesPerSecond = rate(old.Records, o.Records, span), rate(old.Bytes, o.Bytes, span)
		}
	}
	for i := range cur.Losses {
		l := &cur.Losses[i]
		var before uint64 // A counter of losses is only shown once there are some.
		if old := find(prev.Losses, func(p *admin.Loss) bool { return p.Name == l.Name && p.What == l.What && p.Reason == l.Reason }); old != nil {
			before = old.Count
		}
		l.PerSecond = rate(before, l.Count, span)
	}
}

func find[T any](list []T, fits func(*T) bool) *T {
	for i := range list {
		if fits(&list[i]) {
			return &list[i]
		}
	}
	return nil
}

func rate(from, to uint64, span time.Duration) *float64 {
	if to < from {
		return nil
	}
	r := float64(to-from) / span.Seconds()
	return &r
}
