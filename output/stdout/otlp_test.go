package stdout

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

const (
	otlpHead = `{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[`
	otlpTail = `]}]}]}` + "\n"
)

func TestOTLPLogs(t *testing.T) {
	f := func(record, meta, want string) {
		t.Helper()
		o, buf := open(t, "format", "otlp_json")
		send(t, o, plugintest.ChunkOf(t, "t", plugintest.Event{Time: 1700000000e9, Record: record, Meta: meta}))
		want = otlpHead + `{"timeUnixNano":"1700000000000000000",` + want + `}` + otlpTail
		if buf.String() != want {
			t.Errorf("record %s with metadata %s is\n%s, expected\n%s", record, meta, buf, want)
		}
	}
	f(`{"a":1,"f":1.5,"b":true,"n":null,"s":"é","l":[-1,"y",null],"m":{"k":{}}}`, `{}`,
		`"body":{"kvlistValue":{"values":[{"key":"a","value":{"intValue":"1"}},{"key":"f","value":{"doubleValue":1.5}},`+
			`{"key":"b","value":{"boolValue":true}},{"key":"n","value":{}},{"key":"s","value":{"stringValue":"é"}},`+
			`{"key":"l","value":{"arrayValue":{"values":[{"intValue":"-1"},{"stringValue":"y"},{}]}}},`+
			`{"key":"m","value":{"kvlistValue":{"values":[{"key":"k","value":{"kvlistValue":{"values":[]}}}]}}}]}}`)
	f(`{"message":{"k":1},"a":2}`, `{}`, `"body":{"kvlistValue":{"values":[{"key":"k","value":{"intValue":"1"}}]}}`)
	f(`{"message":"m","log":"l"}`, `{}`, `"body":{"stringValue":"l"}`)
	f(`{}`, `{}`, `"body":{"kvlistValue":{"values":[]}}`)
	f(`{"log":"x"}`, `{"otlp":{"severity_number":9,"severity_text":"INFO","attributes":{"k":"v","n":5},"observed_timestamp":1700000000123456789}}`,
		`"observedTimeUnixNano":"1700000000123456789","severityNumber":9,"severityText":"INFO",`+
			`"attributes":[{"key":"k","value":{"stringValue":"v"}},{"key":"n","value":{"intValue":"5"}}],"body":{"stringValue":"x"}`)
	f(`{"log":"x"}`, `{"severity_number":9,"otlp":5}`, `"body":{"stringValue":"x"}`)
}

func TestOTLPIdsAreHexadecimal(t *testing.T) {
	b := event.NewBatch("t")
	e := b.Add(1)
	e.Append(b.String("log"), b.SetArena(event.AppendBinary(b.Arena(9), []byte{1, 2, 3})))
	meta := event.AppendMapHeader(nil, 1)
	meta = event.AppendString(meta, "otlp")
	meta = event.AppendMapHeader(meta, 2)
	meta = event.AppendBinary(event.AppendString(meta, "trace_id"), []byte("0123456789abcdef"))
	meta = event.AppendBinary(event.AppendString(meta, "span_id"), []byte("too short"))
	e.Meta = meta
	bu := event.NewBuilder("t", event.Logs, time.Now())
	bu.Seal(b, 0, 1<<20)
	o, buf := open(t, "format", "otlp_json")
	send(t, o, bu.Chunk())
	want := `"traceId":"30313233343536373839616263646566","spanId":"dG9vIHNob3J0","body":{"bytesValue":"AQID"}`
	if !strings.Contains(buf.String(), want) {
		t.Errorf("printed %s, expected %s in it", buf, want)
	}
}

func TestOTLPPretty(t *testing.T) {
	o, buf := open(t, "format", "otlp_json_pretty")
	send(t, o, plugintest.Chunk(t, "t", `{"log":"a"}`, `{"log":"b"}`))
	if !json.Valid(buf.Bytes()) || !strings.HasPrefix(buf.String(), "{\n  \"resourceLogs\": [\n    {\n      \"resource\": {},\n") ||
		!strings.HasSuffix(buf.String(), "}\n") {
		t.Errorf("printed %s", buf)
	}
}

func TestOTLPMetrics(t *testing.T) {
	payload, err := proto.Marshal(&metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{
		ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: []*metricspb.Metric{{Name: "n",
			Data: &metricspb.Metric_Sum{Sum: &metricspb.Sum{IsMonotonic: true,
				AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE,
				DataPoints: []*metricspb.NumberDataPoint{
					{TimeUnixNano: plugintest.At, Value: &metricspb.NumberDataPoint_AsDouble{AsDouble: 1.5}}}}}}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	o, buf := open(t, "format", "otlp_json")
	send(t, o, plugintest.MetricsChunk("m", payload))
	want := `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"n","sum":{"dataPoints":[` +
		`{"timeUnixNano":"1700000000250000000","asDouble":1.5}],"aggregationTemporality":2,"isMonotonic":true}}]}]}]}` + "\n"
	if buf.String() != want {
		t.Errorf("printed\n%s, expected\n%s", buf, want)
	}
}
