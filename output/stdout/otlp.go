package stdout

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/kagarilog/kagari/event"
)

// appendOTLP appends a chunk as OTLP/JSON
// (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding) and a
// newline.
func (o *Output) appendOTLP(dst []byte, c *event.Chunk) ([]byte, error) {
	start := len(dst)
	var err error
	if c.Signal == event.Metrics {
		dst, err = appendOTLPMetrics(dst, c.Bytes())
	} else {
		dst, err = appendOTLPLogs(dst, c)
	}
	if err != nil {
		return dst, err
	}
	if o.format == formatOTLPPretty {
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, dst[start:], "", "  "); err != nil {
			return dst, fmt.Errorf("indent JSON: %w", err)
		}
		dst = append(dst[:start], pretty.Bytes()...)
	}
	return append(dst, '\n'), nil
}

func appendOTLPMetrics(dst, payload []byte) ([]byte, error) {
	var data metricspb.MetricsData
	if err := proto.Unmarshal(payload, &data); err != nil {
		return dst, fmt.Errorf("decode OTLP metrics: %w", err)
	}
	text, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(&data)
	if err != nil {
		return dst, fmt.Errorf("encode OTLP metrics: %w", err)
	}
	// protojson puts blanks where it pleases.
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return dst, fmt.Errorf("compact JSON: %w", err)
	}
	return append(dst, compact.Bytes()...), nil
}

func appendOTLPLogs(dst []byte, c *event.Chunk) ([]byte, error) {
	dst = append(dst, `{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[`...)
	cur := c.Cursor()
	for cur.Next() {
		if cur.Index > 0 {
			dst = append(dst, ',')
		}
		dst = appendLogRecord(dst, &cur)
	}
	if err := cur.Err(); err != nil {
		return dst, fmt.Errorf("read chunk: %w", err)
	}
	return append(dst, `]}]}]}`...), nil
}

// appendLogRecord appends an event. What the metadata holds under the key otlp,
// where the input opentelemetry puts it, goes into the fields that OTLP has for
// it; of the record there is log, else message, else all of it.
func appendLogRecord(dst []byte, cur *event.Cursor) []byte {
	otlp, _ := cur.Meta.Get("otlp")
	ns := uint64(cur.Time)
	if v, ok := otlp.Get("timestamp"); ok {
		if n, ok := v.Uint(); ok {
			ns = n
		}
	}
	dst = append(dst, '{')
	first := true
	key := func(name string) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(append(dst, '"'), name...), `":`...)
	}
	if ns > 0 {
		key("timeUnixNano")
		dst = appendQuotedUint(dst, ns)
	}
	if v, ok := otlp.Get("observed_timestamp"); ok {
		if n, ok := v.Uint(); ok {
			key("observedTimeUnixNano")
			dst = appendQuotedUint(dst, n)
		}
	}
	if v, ok := otlp.Get("severity_number"); ok {
		if n, ok := v.Uint(); ok {
			key("severityNumber")
			dst = strconv.AppendUint(dst, n, 10)
		}
	}
	if v, ok := otlp.Get("severity_text"); ok && v.Kind() == event.KindString {
		key("severityText")
		dst = event.AppendValueJSON(dst, v, event.JSONOptions{})
	}
	if v, ok := otlp.Get("attributes"); ok && v.Kind() == event.KindMap && v.Len() > 0 {
		key("attributes")
		dst = appendPairs(dst, v)
	}
	for _, id := range [...]struct {
		name, field string
		size        int
	}{{"traceId", "trace_id", 16}, {"spanId", "span_id", 8}} {
		v, ok := otlp.Get(id.field)
		if !ok || v.Kind() != event.KindBinary {
			continue
		}
		key(id.name)
		b, _ := v.Str()
		dst = append(dst, '"')
		if len(b) == id.size {
			dst = hex.AppendEncode(dst, b)
		} else {
			dst = base64.StdEncoding.AppendEncode(dst, b)
		}
		dst = append(dst, '"')
	}
	body := cur.Record
	for _, name := range [...]string{"log", "message"} {
		if v, ok := cur.Record.Get(name); ok {
			body = v
			break
		}
	}
	if !body.IsNil() {
		key("body")
		dst = appendAny(dst, body)
	}
	return append(dst, '}')
}

func appendQuotedUint(dst []byte, n uint64) []byte {
	dst = append(dst, '"')
	dst = strconv.AppendUint(dst, n, 10)
	return append(dst, '"')
}

// appendAny appends a value as OTLP's AnyValue; nil is {}.
func appendAny(dst []byte, v event.Value) []byte {
	plain := func(name string) []byte {
		dst = append(append(append(dst, `{"`...), name...), `":`...)
		return append(event.AppendValueJSON(dst, v, event.JSONOptions{}), '}')
	}
	switch v.Kind() {
	case event.KindBool:
		return plain("boolValue")
	case event.KindFloat:
		return plain("doubleValue")
	case event.KindString:
		return plain("stringValue")
	case event.KindInt, event.KindUint:
		dst = append(dst, `{"intValue":"`...)
		dst = event.AppendValueJSON(dst, v, event.JSONOptions{})
		return append(dst, `"}`...)
	case event.KindBinary:
		b, _ := v.Str()
		dst = append(dst, `{"bytesValue":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, b)
		return append(dst, `"}`...)
	case event.KindArray:
		dst = append(dst, `{"arrayValue":{"values":[`...)
		first := true
		for item := range v.Items() {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = appendAny(dst, item)
		}
		return append(dst, `]}}`...)
	case event.KindMap:
		dst = append(dst, `{"kvlistValue":{"values":`...)
		dst = appendPairs(dst, v)
		return append(dst, `}}`...)
	}
	return append(dst, `{}`...)
}

// appendPairs appends a map as a list of OTLP's KeyValue. A key that is no
// string is written as its text.
func appendPairs(dst []byte, m event.Value) []byte {
	dst = append(dst, '[')
	first := true
	for k, v := range m.Pairs() {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, `{"key":`...)
		if k.Kind() == event.KindString {
			dst = event.AppendValueJSON(dst, k, event.JSONOptions{})
		} else {
			dst = event.AppendJSONString(dst, event.AppendText(nil, k), event.JSONOptions{})
		}
		dst = append(dst, `,"value":`...)
		dst = appendAny(dst, v)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
