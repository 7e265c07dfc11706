package admin

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kagarilog/kagari/plugin"
)

// Status is all that there is to know about a router at one moment. It is the
// answer of /api/v1/kagari/status and what kagari status shows. Counters count
// from the start or the last reload. The fields that end in PerSecond are left
// out of the answer; who has two of them can compute the rates.
type Status struct {
	// Software is kagari, or Fluent Bit if the status was put together from what
	// that answers.
	Software   string       `json:"software"`
	Version    string       `json:"version"`
	Compatible string       `json:"compatible_with,omitempty"`
	Config     string       `json:"config,omitempty"`
	Phase      plugin.Phase `json:"phase,omitempty"`
	Time       time.Time    `json:"time"`
	Uptime     float64      `json:"uptime_seconds"`
	Reloads    int          `json:"reloads"`
	Ready      *Readiness   `json:"ready,omitempty"`
	Health     string       `json:"health,omitempty"` // ok or error; ok too if it is not looked at

	Memory  *Memory  `json:"memory,omitempty"`
	Storage *Storage `json:"storage,omitempty"`

	Inputs  []Input  `json:"inputs"`
	Filters []Filter `json:"filters"`
	Outputs []Output `json:"outputs"`
	Losses  []Loss   `json:"losses"`
}

// Memory is what records on their way take.
type Memory struct {
	Bytes uint64 `json:"bytes"`
	Limit uint64 `json:"limit_bytes"` // 0: none
}

// Storage is the closed chunks on their way, and the size of those on disk.
type Storage struct {
	Chunks int    `json:"chunks"`
	Memory int    `json:"memory_chunks"` // not on disk
	Stored int    `json:"stored_chunks"`
	Bytes  uint64 `json:"stored_bytes"`
	// Letters is the size of the files of dead letters.
	Letters uint64 `json:"dead_letter_bytes"`
}

// Input is an input, or a filter's emitter or a stream that events enter by.
type Input struct {
	Name        string           `json:"name"`
	Plugin      string           `json:"plugin,omitempty"`
	Condition   plugin.Condition `json:"condition,omitempty"` // none for an emitter
	Paused      bool             `json:"paused"`              // waits for memory
	Records     uint64           `json:"records"`
	Bytes       uint64           `json:"bytes"`
	Memory      uint64           `json:"memory_bytes"`
	MemoryLimit uint64           `json:"memory_limit_bytes"` // 0: none
	Chunks      int              `json:"chunks"`
	LastError   *Failure         `json:"last_error,omitempty"`

	RecordsPerSecond *float64 `json:"records_per_second,omitempty"`
	BytesPerSecond   *float64 `json:"bytes_per_second,omitempty"`
}

// Filter is a filter, or a processor of an input or output.
type Filter struct {
	Name      string   `json:"name"`
	Plugin    string   `json:"plugin,omitempty"`
	Owner     string   `json:"owner,omitempty"` // of a processor
	In        uint64   `json:"records_in"`
	Out       uint64   `json:"records_out"`
	Added     uint64   `json:"records_added"`
	Dropped   uint64   `json:"records_dropped"`
	LastError *Failure `json:"last_error,omitempty"`

	InPerSecond *float64 `json:"records_in_per_second,omitempty"`
}

// Output is an output.
type Output struct {
	Name          string   `json:"name"`
	Plugin        string   `json:"plugin,omitempty"`
	Records       uint64   `json:"records"`
	Bytes         uint64   `json:"bytes"`
	Dropped       uint64   `json:"records_dropped"`
	Errors        uint64   `json:"errors"`
	Retries       uint64   `json:"retries"`
	RetriesFailed uint64   `json:"retries_failed"`
	Backlog       *Backlog `json:"backlog,omitempty"`
	LastError     *Failure `json:"last_error,omitempty"`

	RecordsPerSecond *float64 `json:"records_per_second,omitempty"`
	BytesPerSecond   *float64 `json:"bytes_per_second,omitempty"`
}

// Backlog is what an output has before it. Events in open chunks, which are
// younger than the flush interval, count only for the age.
type Backlog struct {
	Chunks   int     `json:"chunks"`
	Bytes    uint64  `json:"bytes"`
	Retrying int     `json:"retrying_chunks"` // of the chunks, those that wait for their next attempt
	Oldest   float64 `json:"oldest_event_seconds"`
}

// Failure is the last error of an instance.
type Failure struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Loss is a counter of what is gone.
type Loss struct {
	Name   string `json:"name"`
	Plugin string `json:"plugin,omitempty"`
	// What says what happened: dropped, refused (what did not become events), cut,
	// kept (as dead letters, which kagari replay sends again) or damaged.
	What   string `json:"what"`
	Reason string `json:"reason"`
	Count  uint64 `json:"count"`

	PerSecond *float64 `json:"per_second,omitempty"`
}

// NewStatus puts a status together from metrics under Fluent Bit's names and
// ours, and from the states behind them, of which there may be none.
func NewStatus(metrics []plugin.Metric, states []plugin.State) *Status {
	b := statusBuilder{Status: Status{Inputs: []Input{}, Filters: []Filter{}, Outputs: []Output{}, Losses: []Loss{}}}
	for _, m := range metrics {
		b.take(m)
	}
	for _, s := range states {
		b.state(s)
		for i := range b.Losses {
			if l := &b.Losses[i]; l.Name == s.Name && l.Plugin == "" {
				l.Plugin = s.Plugin
			}
		}
	}
	return &b.Status
}

type statusBuilder struct{ Status }

// take sorts one metric in.
func (b *statusBuilder) take(m plugin.Metric) {
	n := uint64(max(m.Value, 0))
	name := label(m, "name")
	switch kind, rest, _ := strings.Cut(strings.TrimPrefix(m.Name, "fluentbit_"), "_"); {
	case m.Name == plugin.DropMetric:
		b.loss(m, "dropped", label(m, "reason"))
	case m.Name == plugin.RejectMetric:
		b.loss(m, "refused", label(m, "reason"))
	case cut(m.Name) != "":
		b.loss(m, "cut", cut(m.Name))
	case strings.HasPrefix(m.Name, "kagari_"):
		b.ours(m, name, n)
	case kind == "input" && name != "":
		b.input(m, rest, name, n)
	case kind == "filter" && name != "":
		f := of(&b.Filters, func(f *Filter) bool { return f.Name == name && f.Owner == "" }, Filter{Name: name})
		switch rest {
		case "records_total":
			f.In = n
		case "add_records_total":
			f.Added = n
		case "drop_records_total":
			f.Dropped = n
		}
		f.Out = max(f.In+f.Added, f.Dropped) - f.Dropped
	case kind == "processor":
		b.processor(m, rest, n)
	case kind == "output" && name != "":
		b.output(rest, name, n)
	case kind == "storage":
		b.storage(rest, int(n))
	case m.Name == "fluentbit_uptime":
		b.Uptime = m.Value
	case m.Name == "fluentbit_hot_reloaded_times":
		b.Reloads = int(n)
	}
}

// cut returns why records were shortened that a counter counts, or "".
func cut(metric string) string {
	switch metric {
	case "kagari_truncated_messages_total":
		return "message_too_long"
	case "fluentbit_input_long_line_truncated_total":
		return "line_too_long"
	case "fluentbit_input_multiline_truncated_total", "fluentbit_filter_emit_truncated_total":
		return "joined_record_too_long"
	}
	return ""
}

func (b *statusBuilder) loss(m plugin.Metric, what, reason string) {
	if m.Value > 0 {
		b.Losses = append(b.Losses, Loss{Name: label(m, "name"), Plugin: label(m, "plugin"), What: what, Reason: reason, Count: uint64(m.Value)})
	}
}

func (b *statusBuilder) ours(m plugin.Metric, name string, n uint64) {
	switch m.Name {
	case "kagari_memory_bytes":
		b.memory().Bytes = n
	case "kagari_memory_limit_bytes":
		b.memory().Limit = n
	case "kagari_storage_bytes":
		b.store().Bytes = n
	case "kagari_storage_damaged_chunks_total":
		b.loss(m, "damaged", "stored_chunks_set_aside")
	case "kagari_dead_letters_total":
		b.loss(m, "kept", label(m, "reason"))
	case "kagari_dead_letters_dropped_total":
		b.loss(m, "dropped", "too_many_dead_letters")
	case "kagari_dead_letter_bytes":
		b.store().Letters = n
	case "kagari_input_truncated_unread_bytes_total":
		b.loss(m, "cut", "bytes_of_files_before_they_were_read")
	case "kagari_reload_undelivered_events_total":
		b.loss(m, "dropped", "not_delivered_before_reload")
	case "kagari_input_memory_limit_bytes":
		b.in(name).MemoryLimit = n
	case "kagari_output_pending_chunks":
		b.backlog(name).Chunks = int(n)
	case "kagari_output_pending_bytes":
		b.backlog(name).Bytes = n
	case "kagari_output_retrying_chunks":
		b.backlog(name).Retrying = int(n)
	case "kagari_output_oldest_event_seconds":
		b.backlog(name).Oldest = math.Round(m.Value*1000) / 1000
	}
}

func (b *statusBuilder) memory() *Memory {
	if b.Memory == nil {
		b.Memory = &Memory{}
	}
	return b.Memory
}

func (b *statusBuilder) store() *Storage {
	if b.Storage == nil {
		b.Storage = &Storage{}
	}
	return b.Storage
}

func (b *statusBuilder) storage(rest string, n int) {
	switch rest {
	case "chunks":
		b.store().Chunks = n
	case "mem_chunks":
		b.store().Memory = n
	case "fs_chunks":
		b.store().Stored = n
	}
}

func (b *statusBuilder) in(name string) *Input {
	return of(&b.Inputs, func(in *Input) bool { return in.Name == name }, Input{Name: name})
}

func (b *statusBuilder) input(m plugin.Metric, rest, name string, n uint64) {
	in := b.in(name)
	switch rest {
	case "records_total":
		in.Records = n
	case "bytes_total":
		in.Bytes = n
	case "ingestion_paused":
		in.Paused = m.Value != 0
	case "storage_memory_bytes":
		in.Memory = n
	case "storage_chunks":
		in.Chunks = int(n)
	}
}

func (b *statusBuilder) processor(m plugin.Metric, rest string, n uint64) {
	owner, stage := label(m, "owner"), label(m, "stage")
	name := label(m, "processor") + "." + stage
	f := of(&b.Filters, func(f *Filter) bool { return f.Name == name && f.Owner == owner }, Filter{Name: name, Owner: owner, Plugin: label(m, "processor")})
	switch rest {
	case "items_in_total":
		f.In = n
	case "items_out_total":
		f.Out = n
	case "items_drop_total":
		f.Dropped = n
	case "items_add_total":
		f.Added = n
	}
}

func (b *statusBuilder) out(name string) *Output {
	return of(&b.Outputs, func(o *Output) bool { return o.Name == name }, Output{Name: name})
}

func (b *statusBuilder) backlog(name string) *Backlog {
	o := b.out(name)
	if o.Backlog == nil {
		o.Backlog = &Backlog{}
	}
	return o.Backlog
}

func (b *statusBuilder) output(rest, name string, n uint64) {
	o := b.out(name)
	switch rest {
	case "proc_records_total":
		o.Records = n
	case "proc_bytes_total":
		o.Bytes = n
	case "errors_total":
		o.Errors = n
	case "retries_total":
		o.Retries = n
	case "retries_failed_total":
		o.RetriesFailed = n
	case "dropped_records_total":
		o.Dropped = n
	}
}

// state adds what an instance says of itself.
func (b *statusBuilder) state(s plugin.State) {
	var failed *Failure
	if !s.Failure.At.IsZero() {
		failed = &Failure{At: s.Failure.At, Text: s.Failure.Text}
	}
	switch s.Kind {
	case plugin.KindInput:
		in := b.in(s.Name)
		in.Plugin, in.Condition, in.LastError = s.Plugin, s.Condition, failed
	case plugin.KindFilter:
		f := of(&b.Filters, func(f *Filter) bool { return f.Name == s.Name && f.Owner == "" }, Filter{Name: s.Name})
		f.Plugin, f.LastError = s.Plugin, failed
	case plugin.KindOutput:
		o := b.out(s.Name)
		o.Plugin, o.LastError = s.Plugin, failed
	case plugin.KindProcessor: // Its numbers have another name.
	}
}

// of returns the element that fits, adding one if there is none.
func of[T any](list *[]T, fits func(*T) bool, added T) *T {
	for i := range *list {
		if fits(&(*list)[i]) {
			return &(*list)[i]
		}
	}
	*list = append(*list, added)
	return &(*list)[len(*list)-1]
}

func label(m plugin.Metric, name string) string {
	for _, l := range m.Labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// status answers /api/v1/kagari/status.
func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	now := time.Now()
	phase, states := s.router.States()
	st := NewStatus(s.router.Metrics(), states)
	st.Software, st.Version, st.Compatible, st.Config = "kagari", s.opts.Version, "Fluent Bit "+CompatibleVersion, s.opts.Config
	st.Phase, st.Time, st.Uptime, st.Reloads = phase, now, s.router.Uptime().Seconds(), s.router.Reloads()
	st.Health = s.health.verdict().Status
	r := readiness(phase, states, s.opts.ReadyMaxAge, now)
	st.Ready = &r
	slices.SortStableFunc(st.Losses, func(a, b Loss) int { return cmp.Compare(b.Count, a.Count) })
	s.answer(w, http.StatusOK, st)
}
