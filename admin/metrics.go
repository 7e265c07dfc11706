package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kagarilog/kagari/plugin"
)

// metricsJSON answers /api/v1/metrics:
//
//	{"input":{"tail.0":{"records":1,"bytes":2}},"filter":{…},"output":{…}}
func (s *Server) metricsJSON(w http.ResponseWriter, _ *http.Request) {
	members := []member{
		{"input", "fluentbit_input_", []string{"records", "bytes", "files_opened", "files_closed", "files_rotated",
			"multiline_truncated", "long_line_truncated", "long_line_skipped"}, nil},
		{"filter", "fluentbit_filter_", []string{"drop_records", "add_records", "records", "bytes", "drop_bytes",
			"emit_records", "emit_truncated"}, nil},
		{"output", "fluentbit_output_", []string{"proc_records", "proc_bytes", "errors", "retries", "retries_failed", "dropped_records", "retried_records"}, nil},
	}
	for _, m := range s.router.Metrics() {
		for i := range members {
			members[i].take(m)
		}
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for i, mem := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:{", mem.name)
		for j, inst := range mem.instances {
			if j > 0 {
				b.WriteByte(',')
			}
			name, _ := json.Marshal(inst.name) // A string never fails.
			fmt.Fprintf(&b, "%s:{%s}", name, inst.members())
		}
		b.WriteByte('}')
	}
	b.WriteByte('}')
	w.Header().Set("Content-Type", "application/json")
	s.write(w, b.Bytes())
}

// member is one kind of plugin in the answer.
type member struct {
	name, prefix string
	keys         []string
	instances    []*instance
}

type instance struct {
	name    string
	numbers []string // by the place of their keys, "" for none
}

// members is what stands between the braces.
func (i *instance) members() string {
	var all []string
	for _, n := range i.numbers {
		if n != "" {
			all = append(all, n)
		}
	}
	return strings.Join(all, ",")
}

// take adds a metric if it is one of the member's.
func (m *member) take(metric plugin.Metric) {
	key, ok := strings.CutPrefix(metric.Name, m.prefix)
	if !ok || len(metric.Labels) != 1 {
		return
	}
	key = strings.TrimSuffix(key, "_total")
	for place, k := range m.keys {
		if k != key {
			continue
		}
		name := metric.Labels[0].Value
		var inst *instance
		for _, i := range m.instances {
			if i.name == name {
				inst = i
			}
		}
		if inst == nil {
			inst = &instance{name: name, numbers: make([]string, len(m.keys))}
			m.instances = append(m.instances, inst)
		}
		inst.numbers[place] = fmt.Sprintf("%q:%.0f", key, metric.Value)
	}
}

// metricsText answers /api/v2/metrics, a line for each number.
func (s *Server) metricsText(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z")
	for _, m := range s.router.Metrics() {
		b.WriteString(now)
		b.WriteByte(' ')
		b.WriteString(m.Name)
		for i, l := range m.Labels {
			b.WriteByte("{,"[min(i, 1)])
			fmt.Fprintf(&b, "%s=%q", l.Name, l.Value)
		}
		if len(m.Labels) > 0 {
			b.WriteByte('}')
		}
		b.WriteString(" = ")
		if m.Buckets != nil {
			writeBuckets(&b, m)
		} else {
			b.WriteString(decimal(m.Value))
		}
		b.WriteByte('\n')
	}
	s.write(w, b.Bytes())
}

// decimal writes a number without an exponent.
func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// writeBuckets writes { buckets = { 0.5=8, +Inf=9 }, sum=4.7, count=9 }.
func writeBuckets(b *bytes.Buffer, m plugin.Metric) {
	b.WriteString("{ buckets = { ")
	var n uint64
	for i, bound := range m.Buckets.Bounds {
		n += m.Buckets.Counts[i]
		fmt.Fprintf(b, "%s=%d, ", decimal(bound), n)
	}
	fmt.Fprintf(b, "+Inf=%d }, sum=%.6g, count=%[1]d }", m.Buckets.Count(), m.Value)
}

func (s *Server) write(w http.ResponseWriter, b []byte) {
	if _, err := w.Write(b); err != nil {
		s.opts.Log.Debug("cannot answer", "error", err)
	}
}

// prometheusV1 and prometheusV2 answer the Prometheus paths. Numbers about the
// process have other names and labels in the first.
func (s *Server) prometheusV1(w http.ResponseWriter, r *http.Request) {
	s.prometheus(w, r, collector{s.router, asInV1})
}

func asInV1(m *plugin.Metric) {
	switch m.Name {
	case "fluentbit_uptime":
		m.Labels = nil
	case "fluentbit_process_start_time_seconds":
		m.Name, m.Labels = "process_start_time_seconds", nil
	case "fluentbit_build_info":
		m.Value = 1
		labels := []plugin.Label{{Name: "edition", Value: edition}}
		for _, l := range m.Labels {
			if l.Name == "version" {
				labels = append(labels, l)
			}
		}
		m.Labels = labels
	}
}

func (s *Server) prometheusV2(w http.ResponseWriter, r *http.Request) {
	s.prometheus(w, r, collector{s.router, nil})
}

func (s *Server) prometheus(w http.ResponseWriter, r *http.Request, c collector) {
	reg := prometheus.NewRegistry()
	if err := reg.Register(c); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError,
		ErrorLog:      slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelWarn),
	}).ServeHTTP(w, r)
}

// collector hands the router's numbers to the Prometheus library. It is
// unchecked: which metrics there are depends on the plugins.
type collector struct {
	router Router
	edit   func(*plugin.Metric) // nil for none
}

func (collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(out chan<- prometheus.Metric) {
	help := map[string]string{} // One text for a name, whoever counts under it.
	for _, m := range c.router.Metrics() {
		if c.edit != nil {
			c.edit(&m)
		}
		if _, ok := help[m.Name]; !ok {
			help[m.Name] = m.Help
		}
		var names, values []string
		for _, l := range m.Labels {
			names, values = append(names, l.Name), append(values, strings.ToValidUTF8(l.Value, "\uFFFD"))
		}
		typ := prometheus.CounterValue
		if m.Type == plugin.GaugeMetric {
			typ = prometheus.GaugeValue
		}
		desc := prometheus.NewDesc(m.Name, help[m.Name], names, nil)
		var pm prometheus.Metric
		var err error
		if m.Buckets == nil {
			pm, err = prometheus.NewConstMetric(desc, typ, m.Value, values...)
		} else {
			buckets := map[float64]uint64{}
			var n uint64
			for i, bound := range m.Buckets.Bounds {
				n += m.Buckets.Counts[i]
				buckets[bound] = n
			}
			pm, err = prometheus.NewConstHistogram(desc, m.Buckets.Count(), m.Value, buckets, values...)
		}
		if err != nil {
			pm = prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
		}
		out <- pm
	}
}

// storage answers /api/v1/storage.
func (s *Server) storage(w http.ResponseWriter, _ *http.Request) {
	type status struct {
		Overlimit bool   `json:"overlimit"`
		MemSize   string `json:"mem_size"`
		MemLimit  string `json:"mem_limit"`
	}
	type chunks struct {
		Total    int    `json:"total"`
		Up       int    `json:"up"`
		Down     int    `json:"down"`
		Busy     int    `json:"busy"`
		BusySize string `json:"busy_size"`
	}
	type input struct {
		Status status `json:"status"`
		Chunks chunks `json:"chunks"`
	}
	layer := struct {
		Total  int `json:"total_chunks"`
		Memory int `json:"mem_chunks"`
		FS     int `json:"fs_chunks"`
		FSUp   int `json:"fs_chunks_up"`
		FSDown int `json:"fs_chunks_down"`
	}{}
	inputs := map[string]*input{}
	of := func(m plugin.Metric) *input {
		name := m.Labels[0].Value
		if inputs[name] == nil {
			inputs[name] = &input{}
		}
		return inputs[name]
	}
	for _, m := range s.router.Metrics() {
		n := int(m.Value)
		switch m.Name {
		case "fluentbit_storage_chunks":
			layer.Total = n
		case "fluentbit_storage_mem_chunks":
			layer.Memory = n
		case "fluentbit_storage_fs_chunks":
			layer.FS = n
		case "fluentbit_storage_fs_chunks_up":
			layer.FSUp = n
		case "fluentbit_storage_fs_chunks_down":
			layer.FSDown = n
		case "fluentbit_input_storage_memory_bytes":
			of(m).Status.MemSize = humanSize(m.Value)
		case "kagari_input_memory_limit_bytes":
			of(m).Status.MemLimit = humanSize(m.Value)
		case "fluentbit_input_storage_overlimit":
			of(m).Status.Overlimit = n != 0
		case "fluentbit_input_storage_chunks":
			of(m).Chunks.Total = n
		case "fluentbit_input_storage_chunks_up":
			of(m).Chunks.Up = n
		case "fluentbit_input_storage_chunks_down":
			of(m).Chunks.Down = n
		case "fluentbit_input_storage_chunks_busy":
			of(m).Chunks.Busy = n
		case "fluentbit_input_storage_chunks_busy_bytes":
			of(m).Chunks.BusySize = humanSize(m.Value)
		}
	}
	s.answer(w, http.StatusOK, map[string]any{
		"storage_layer": map[string]any{"chunks": layer},
		"input_chunks":  inputs,
	})
}

// humanSize writes a number of bytes with a unit of 1024 and one digit behind
// the point, as 95.4M; below 1024 as 84b.
func humanSize(n float64) string {
	if n < 1024 {
		return fmt.Sprintf("%.0fb", n)
	}
	units := "KMGTPE"
	i := -1
	for n >= 1024 && i < len(units)-1 {
		n /= 1024
		i++
	}
	return fmt.Sprintf("%.1f%c", n, units[i])
}
