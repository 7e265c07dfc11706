package view

import (
	"strconv"
	"strings"

	"github.com/kagarilog/kagari/plugin"
)

// parseMetrics reads the text format of Prometheus, version 0.0.4:
//
//	# TYPE fluentbit_input_records_total counter
//	fluentbit_input_records_total{name="tail.0"} 12 1795178051000
//
// Lines that are none of it are left out, as are numbers below zero.
func parseMetrics(text string) []plugin.Metric {
	var list []plugin.Metric
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		end := strings.IndexAny(line, "{ \t")
		if end <= 0 {
			continue
		}
		m := plugin.Metric{Name: line[:end]}
		rest := line[end:]
		if rest[0] == '{' {
			var ok bool
			if m.Labels, rest, ok = parseLabels(rest[1:]); !ok {
				continue
			}
		}
		words := strings.Fields(rest)
		if len(words) == 0 {
			continue
		}
		v, err := strconv.ParseFloat(words[0], 64)
		if err != nil || !(v >= 0) || v > 1<<63 {
			continue
		}
		m.Value = v
		list = append(list, m)
	}
	return list
}

// parseLabels reads name="value",… up to the closing brace.
func parseLabels(s string) (labels []plugin.Label, rest string, ok bool) {
	for {
		s = strings.TrimLeft(s, " ,")
		if strings.HasPrefix(s, "}") {
			return labels, s[1:], true
		}
		name, after, found := strings.Cut(s, `="`)
		if !found {
			return nil, "", false
		}
		var b strings.Builder
		i := 0
		for ; i < len(after) && after[i] != '"'; i++ {
			c := after[i]
			if c == '\\' && i+1 < len(after) {
				i++
				if c = after[i]; c == 'n' {
					c = '\n'
				}
			}
			b.WriteByte(c)
		}
		if i == len(after) {
			return nil, "", false
		}
		labels = append(labels, plugin.Label{Name: strings.TrimSpace(name), Value: b.String()})
		s = after[i+1:]
	}
}
