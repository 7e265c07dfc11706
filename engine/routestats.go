package engine

import (
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// routing adds how many log records went from which input to which output, or
// nowhere. As in Fluent Bit there is a number only once there is something to
// count, and records that go nowhere have the output "unmatched".
func (m *metrics) routing(e *Engine) {
	count := func(name, help string, v uint64, input, output string) {
		if v > 0 {
			m.counter("fluentbit_routing_logs_"+name, help, v, plugin.Label{Name: "input", Value: input}, plugin.Label{Name: "output", Value: output})
		}
	}
	for _, s := range e.sinks {
		s.stats.inputs.Range(func(input, numbers any) bool {
			from, name := numbers.(*fromInput), input.(string)
			count("records_total", "Total log records routed from input to output", from.records.Load(), name, s.id)
			count("bytes_total", "Total bytes routed from input to output (logs)", from.bytes.Load(), name, s.id)
			count("drop_records_total", routeDrops, from.droppedRecords.Load(), name, s.id)
			count("drop_bytes_total", routeDropBytes, from.droppedBytes.Load(), name, s.id)
			return true
		})
	}
	for _, s := range e.sources() {
		records, bytes := s.unrouted.Load(), s.unroutedBytes.Load()
		if rs := s.routes[event.Logs]; rs != nil {
			records += rs.untaken.Load()
			bytes += rs.untakenBytes.Load()
		}
		count("drop_records_total", routeDrops, records, s.id, "unmatched")
		count("drop_bytes_total", routeDropBytes, bytes, s.id, "unmatched")
	}
}

const (
	routeDrops     = "Total log records dropped during routing"
	routeDropBytes = "Total bytes dropped during routing (logs)"
)

// sources returns inputs, emitters and streams.
func (e *Engine) sources() []*source {
	var all []*source
	for _, in := range e.inputs {
		all = append(all, in.source)
	}
	return append(all, e.emitters...)
}
