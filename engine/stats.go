package engine

import (
	"math"
	"runtime"
	"strconv"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/parser"
	"github.com/kagarilog/kagari/plugin"
)

// Metrics returns all numbers about the engine under Fluent Bit's names, and
// what Fluent Bit does not have under kagari_. It may be called at any time.
func (e *Engine) Metrics() []plugin.Metric {
	m := &metrics{}
	if t := e.started.Load(); t != 0 {
		host := plugin.Label{Name: "hostname", Value: e.hostname}
		m.counter("fluentbit_uptime", "Number of seconds that Fluent Bit has been running.", uint64(max(time.Since(time.Unix(0, t)).Seconds(), 0)), host)
		m.gauge("fluentbit_process_start_time_seconds", "Start time of the process since unix epoch in seconds.", float64(t/1e9), host)
		m.gauge("fluentbit_build_info", "Build version information.", float64(t/1e9), host,
			plugin.Label{Name: "version", Value: e.version}, plugin.Label{Name: "os", Value: runtime.GOOS})
	}
	e.logs.Count(func(level string, n uint64) {
		m.counter("fluentbit_logger_logs_total", "Total number of logs", n, plugin.Label{Name: "message_type", Value: level})
	})
	for _, in := range e.inputs {
		m.input(in.source)
		condition, _ := in.condition.Load().(plugin.Condition)
		m.gauge("kagari_input_up", "Is the input running, or has it read all that there was? 0 before the start and while it waits after a failure.",
			flag(condition == plugin.ConditionRunning || condition == plugin.ConditionEnded), plugin.Label{Name: "name", Value: in.id})
		in.env.Stats.Each(m.each(in.id, in.plugin))
	}
	for _, s := range e.emitters {
		if s.listed || s.records.Load() > 0 {
			m.input(s)
		}
	}
	for _, f := range e.allSteps() {
		if f.scope == "" {
			m.filter(f)
		} else {
			m.processor(f)
		}
		f.env.Stats.Each(m.each(f.id, f.plugin))
	}
	for _, st := range e.tasks {
		m.stream(st)
	}
	oldest := e.oldest()
	for _, s := range e.sinks {
		m.output(s, oldest[s])
		s.env.Stats.Each(m.each(s.id, s.plugin))
	}
	for _, p := range e.parsers {
		m.parser(p)
	}
	for _, p := range e.multiline {
		m.counter("kagari_multiline_given_up_total", "Lines whose match with a rule would have taken too many steps.", p.GivenUp(), plugin.Label{Name: "parser", Value: p.Name()})
	}
	m.routing(e)
	m.storage(e)
	return m.list
}

// metrics collects.
type metrics struct{ list []plugin.Metric }

func (m *metrics) counter(name, help string, v uint64, labels ...plugin.Label) {
	m.list = append(m.list, plugin.Metric{Name: name, Help: help, Type: plugin.CounterMetric, Labels: labels, Value: float64(v)})
}

func (m *metrics) gauge(name, help string, v float64, labels ...plugin.Label) {
	m.list = append(m.list, plugin.Metric{Name: name, Help: help, Type: plugin.GaugeMetric, Labels: labels, Value: v})
}

// each collects the counters of an instance. Those of losses tell the plugin as
// well, which the name does not if it is an alias.
func (m *metrics) each(id, of string) func(name, help, label, value string, n uint64) {
	return func(name, help, label, value string, n uint64) {
		if name == plugin.DropMetric || name == plugin.RejectMetric {
			m.loss(name, help, n, id, of, value)
			return
		}
		labels := []plugin.Label{{Name: "name", Value: id}}
		if label != "" {
			labels = append(labels, plugin.Label{Name: label, Value: value})
		}
		m.counter(name, help, n, labels...)
	}
}

// loss collects a counter of events or messages that are gone.
func (m *metrics) loss(name, help string, n uint64, id, of, reason string) {
	m.counter(name, help, n, plugin.Label{Name: "name", Value: id}, plugin.Label{Name: "plugin", Value: of}, plugin.Label{Name: "reason", Value: reason})
}

const droppedHelp = "Events that were dropped, by reason."

func (m *metrics) input(s *source) {
	name := plugin.Label{Name: "name", Value: s.id}
	m.counter("fluentbit_input_records_total", "Number of input records.", s.records.Load(), name)
	m.counter("fluentbit_input_bytes_total", "Number of input bytes.", s.bytes.Load(), name)
	m.gauge("fluentbit_input_rate_records", "Current input records per second.", math.Float64frombits(s.rate.recordsPerSecond.Load()), name)
	m.gauge("fluentbit_input_rate_bytes", "Current input bytes per second.", math.Float64frombits(s.rate.bytesPerSecond.Load()), name)
	m.gauge("fluentbit_input_ingestion_paused", "Is the input paused or not?", flag(s.paused.Load()), name)
	m.gauge("fluentbit_input_storage_memory_bytes", "Memory bytes used by the chunks.", float64(s.memory.bytes()), name)
	m.gauge("fluentbit_input_storage_overlimit", "Is the input memory usage overlimit ?.", flag(s.memory.full()), name)
	m.gauge("kagari_input_memory_limit_bytes", "Limit of fluentbit_input_storage_memory_bytes, 0 for none.", float64(s.memory.limit), name)
	m.loss(plugin.DropMetric, droppedHelp, s.unrouted.Load()+s.unroutedMetrics.Load(), s.id, s.plugin, "no_output_matches")
	if rs := s.routes[event.Logs]; rs != nil {
		m.loss(plugin.DropMetric, droppedHelp, rs.untaken.Load(), s.id, s.plugin, "no_route_takes_it")
	}
	s.mu.Lock()
	open := len(s.order)
	s.mu.Unlock()
	up, down := s.up.Load(), s.down.Load()
	m.gauge("fluentbit_input_storage_chunks", "Total number of chunks.", float64(int64(open)+up+down), name)
	m.gauge("fluentbit_input_storage_chunks_up", "Total number of chunks up in memory.", float64(int64(open)+up), name)
	m.gauge("fluentbit_input_storage_chunks_down", "Total number of chunks down.", float64(down), name)
	m.gauge("fluentbit_input_storage_chunks_busy", "Total number of chunks in a busy state.", float64(up+down), name)
	m.gauge("fluentbit_input_storage_chunks_busy_bytes", "Total number of bytes used by chunks in a busy state.", float64(s.busyBytes.Load()), name)
}

func (m *metrics) filter(f *step) {
	name := plugin.Label{Name: "name", Value: f.id}
	m.counter("fluentbit_filter_records_total", "Total number of new records processed.", f.records.Load(), name)
	m.counter("fluentbit_filter_bytes_total", "Total number of new bytes processed.", f.bytes.Load(), name)
	m.counter("fluentbit_filter_add_records_total", "Total number of new added records.", f.added.Load(), name)
	m.counter("fluentbit_filter_drop_records_total", "Total number of dropped records.", f.dropped.Load(), name)
	m.counter("fluentbit_filter_drop_bytes_total", "Total number of dropped bytes.", f.droppedBytes.Load(), name)
}

func (m *metrics) processor(f *step) {
	labels := []plugin.Label{{Name: "scope", Value: f.scope}, {Name: "owner", Value: f.owner}, {Name: "processor", Value: f.plugin},
		{Name: "stage", Value: strconv.Itoa(f.stage)}, {Name: "signal", Value: "logs"}}
	in, added, dropped := f.records.Load(), f.added.Load(), f.dropped.Load()
	m.counter("fluentbit_processor_invocations_total", "Total number of processor unit invocations.", f.calls.Load(), labels...)
	m.counter("fluentbit_processor_errors_total", "Total number of processor unit errors.", f.errors.Load(), labels...)
	m.counter("fluentbit_processor_items_in_total", "Total number of items seen by processor units.", in, labels...)
	m.counter("fluentbit_processor_items_out_total", "Total number of items produced by processor units.", max(in+added, dropped)-dropped, labels...)
	m.counter("fluentbit_processor_items_drop_total", "Total number of items dropped by processor units.", dropped, labels...)
	m.counter("fluentbit_processor_items_add_total", "Total number of items added by processor units.", added, labels...)
}

func (m *metrics) stream(st *streamTask) {
	name := plugin.Label{Name: "name", Value: st.id}
	m.gauge("kagari_stream_groups", "Groups that a stream task holds.", float64(st.task.Groups()), name)
	m.counter("kagari_stream_given_up_total", "Matches of regular expressions that would have taken too many steps.", st.task.GaveUp(), name)
	m.loss(plugin.DropMetric, droppedHelp, st.task.Dropped(), st.id, "stream_processor", "task_memory_full")
	m.loss(plugin.DropMetric, droppedHelp, st.refused.Load(), st.id, "stream_processor", "stopped")
}

func (m *metrics) parser(p *parser.Parser) {
	name := plugin.Label{Name: "parser", Value: p.Name()}
	m.counter("kagari_parser_unmatched_total", "Lines that did not fit the parser.", p.Unfit(), name)
	m.counter("kagari_parser_bad_times_total", "Lines whose time did not fit the layout.", p.BadTimes(), name)
	m.counter("kagari_parser_bad_types_total", "Values that were to be a truth value and stayed text.", p.BadTypes(), name)
	m.counter("kagari_parser_given_up_total", "Lines whose match would have taken too many steps.", p.GivenUp(), name)
}

func (m *metrics) output(s *sink, oldest time.Time) {
	name := plugin.Label{Name: "name", Value: s.id}
	st := &s.stats
	m.counter("fluentbit_output_proc_records_total", "Number of processed output records.", st.records.Load(), name)
	m.counter("fluentbit_output_proc_bytes_total", "Number of processed output bytes.", st.bytes.Load(), name)
	m.counter("fluentbit_output_errors_total", "Number of output errors.", st.errors.Load(), name)
	m.counter("fluentbit_output_retries_total", "Number of output retries.", st.retries.Load(), name)
	m.counter("fluentbit_output_retries_failed_total", "Number of abandoned batches because the maximum number of re-tries was reached.", st.retriesFailed.Load(), name)
	m.counter("fluentbit_output_dropped_records_total", "Number of dropped records.", st.droppedRecords.Load(), name)
	m.counter("fluentbit_output_retried_records_total", "Number of retried records.", st.retriedRecords.Load(), name)
	open := 0
	if c, ok := s.out.(plugin.Connected); ok {
		open = c.Connections()
	}
	m.gauge("fluentbit_output_upstream_total_connections", "Total Connection count.", float64(open), name)
	m.gauge("fluentbit_output_upstream_busy_connections", "Busy Connection count.", float64(min(open, s.sends())), name)
	m.gauge("fluentbit_output_chunk_available_capacity_percent", "Available chunk capacity (percent)", s.quota.available(), name)
	if s.quota.limit > 0 {
		m.gauge("kagari_output_storage_bytes", "Bytes that wait for this output in chunks that are on disk, or will be.", float64(s.quota.bytes()), name)
		m.gauge("kagari_output_storage_limit_bytes", "Limit of kagari_output_storage_bytes.", float64(s.quota.limit), name)
	}
	output := plugin.Label{Name: "output", Value: s.id}
	st.inputs.Range(func(input, numbers any) bool {
		m.histogram("fluentbit_output_latency_seconds", "End-to-end latency in seconds", latencyBounds, &numbers.(*fromInput).latency,
			plugin.Label{Name: "input", Value: input.(string)}, output)
		return true
	})
	m.histogram("fluentbit_output_backpressure_wait_seconds", "Output backpressure wait in seconds", waitBounds, &st.waits, output)
	b := s.backlog()
	m.gauge("kagari_output_pending_chunks", "Chunks that wait for this output or are being sent.", float64(b.chunks), name)
	m.gauge("kagari_output_pending_bytes", "Bytes of these chunks.", float64(b.bytes), name)
	m.gauge("kagari_output_retrying_chunks", "Of these chunks, those that wait for their next attempt.", float64(b.retrying), name)
	age := 0.0
	if !oldest.IsZero() {
		age = max(time.Since(oldest).Seconds(), 0)
	}
	m.gauge("kagari_output_oldest_event_seconds", "Time since the oldest event arrived that this output has not got rid of yet; 0 if there is none.", age, name)
}

func (m *metrics) storage(e *Engine) {
	m.gauge("kagari_memory_bytes", "Bytes of records in memory on their way to outputs.", float64(e.memory.bytes()))
	m.gauge("kagari_memory_limit_bytes", "Limit of kagari_memory_bytes.", float64(e.memory.limit))
	memory, up, down := e.memoryChunks.Load(), e.upChunks.Load(), e.downChunks.Load()
	m.gauge("fluentbit_storage_chunks", "Total number of chunks in the storage layer.", float64(memory+up+down))
	m.gauge("fluentbit_storage_mem_chunks", "Total number of memory chunks.", float64(memory))
	m.gauge("fluentbit_storage_fs_chunks", "Total number of filesystem chunks.", float64(up+down))
	m.gauge("fluentbit_storage_fs_chunks_up", "Total number of filesystem chunks up in memory.", float64(up))
	m.gauge("fluentbit_storage_fs_chunks_down", "Total number of filesystem chunks down.", float64(down))
	if e.letters != nil {
		m.gauge("kagari_dead_letter_bytes", "Size of the files of dead letters.", float64(e.letters.Bytes()))
		m.counter("kagari_dead_letters_dropped_total", "Dead letters that were deleted to keep to storage.rejected.limit.", e.lettersDropped.Load())
	}
	if e.dir != nil {
		m.counter("kagari_storage_damaged_chunks_total", "Stored chunks that were found damaged at the start and set aside.", e.damaged.Load())
		m.gauge("kagari_storage_bytes", "Size of the chunks in the storage directory.", float64(e.dir.Bytes()))
	}
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
