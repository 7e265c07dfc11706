package stdout

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

// open makes an output that prints to a buffer.
func open(t testing.TB, keysAndValues ...string) (*Output, *bytes.Buffer) {
	t.Helper()
	o := plugintest.NewOutput(t, Def(), plugintest.Env(t), keysAndValues...).(*Output)
	var buf bytes.Buffer
	o.w = &buf
	return o, &buf
}

func send(t testing.TB, o *Output, c *event.Chunk) {
	t.Helper()
	if err := o.Send(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func TestFormats(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		o, buf := open(t, keysAndValues...)
		c := plugintest.Chunk(t, "t",
			`{"a":1,"b":"two words","c":1.5}`,
			`{"a":true,"b":"q\"uo,te\tx","n":null}`,
			`{"m":{"k":[1,"x"]},"b":"\u00e9\n2"}`)
		send(t, o, c)
		if buf.String() != want {
			t.Errorf("with %q this is printed:\n%s, expected\n%s", keysAndValues, buf, want)
		}
	}
	f("[0] t: [[1700000000.250000000, {}], {\"a\"=>1, \"b\"=>\"two words\", \"c\"=>1.500000}]\n" +
		"[1] t: [[1700000001.250000000, {}], {\"a\"=>true, \"b\"=>\"q\"uo,te\tx\", \"n\"=>nil}]\n" +
		"[2] t: [[1700000002.250000000, {}], {\"m\"=>{\"k\"=>[1, \"x\"]}, \"b\"=>\"é\n2\"}]\n")
	f(`{"date":1700000000.25,"a":1,"b":"two words","c":1.5}
{"date":1700000001.25,"a":true,"b":"q\"uo,te\tx","n":null}
{"date":1700000002.25,"m":{"k":[1,"x"]},"b":"\u00e9\n2"}
`, "format", "json_lines")
	f(`[{"ts":"2023-11-14T22:13:20.250000Z","a":1,"b":"two words","c":1.5},{"ts":"2023-11-14T22:13:21.250000Z","a":true,"b":"q\"uo,te\tx","n":null},{"ts":"2023-11-14T22:13:22.250000Z","m":{"k":[1,"x"]},"b":"\u00e9\n2"}]
`, "format", "JSON", "json_date_key", "ts", "json_date_format", "iso8601")
	f(`{"a":1,"b":"two words","c":1.5}{"a":true,"b":"q\"uo,te\tx","n":null}{"m":{"k":[1,"x"]},"b":"\u00e9\n2"}
`, "format", "json_stream", "json_date_key", "off")
}

func TestEventsAreCountedInEachChunk(t *testing.T) {
	o, buf := open(t)
	for range 2 {
		send(t, o, plugintest.ChunkOf(t, "t", plugintest.Event{Time: 1, Meta: `{"m":1}`, Record: `{}`}))
	}
	want := strings.Repeat("[0] t: [[0.000000001, {\"m\"=>1}], {}]\n", 2)
	if buf.String() != want {
		t.Errorf("printed %q, expected %q", buf, want)
	}
}

func TestUnknownFormatsFallBack(t *testing.T) {
	_, problems := plugintest.Decode(Def(), "format", "xml", "json_date_format", "sundial")
	if problems.HasErrors() || len(problems) != 2 {
		t.Errorf("problems: %v, expected two warnings", problems)
	}
	o, buf := open(t, "format", "xml")
	send(t, o, plugintest.Chunk(t, "t", `{}`))
	if !strings.HasPrefix(buf.String(), "[0] t: [[") {
		t.Errorf("printed %q", buf)
	}
}

func TestMetrics(t *testing.T) {
	payload, err := proto.Marshal(&metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{
		ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: []*metricspb.Metric{{Name: "up",
			Data: &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: []*metricspb.NumberDataPoint{
				{TimeUnixNano: plugintest.At, Value: &metricspb.NumberDataPoint_AsDouble{AsDouble: 1}}}}}}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"msgpack", "json", "pretty"} {
		o, buf := open(t, "format", format)
		send(t, o, plugintest.MetricsChunk("m", payload))
		if want := "2023-11-14T22:13:20.250000000Z up = 1\n"; buf.String() != want {
			t.Errorf("in format %s this is printed: %q, expected %q", format, buf, want)
		}
	}
	o, _ := open(t)
	var p *plugin.PermanentError
	if err := o.Send(t.Context(), plugintest.MetricsChunk("m", []byte{0xff})); !errors.As(err, &p) {
		t.Errorf("Send of what are no metrics returned %v", err)
	}
}

type failing struct{ n int }

func (f *failing) Write(p []byte) (int, error) {
	f.n++
	return 0, errors.New("pipe broken")
}

func TestAChunkIsOneWriteAndItsErrorIsRetried(t *testing.T) {
	for _, format := range []string{"msgpack", "json", "json_lines", "pretty"} {
		o, _ := open(t, "format", format)
		w := &failing{}
		o.w = w
		err := o.Send(t.Context(), plugintest.Chunk(t, "t", `{}`, `{}`, `{}`))
		var p *plugin.PermanentError
		if err == nil || errors.As(err, &p) {
			t.Errorf("in format %s Send returned %v", format, err)
		}
		if w.n != 1 {
			t.Errorf("in format %s there were %d writes", format, w.n)
		}
	}
}

func TestPretty(t *testing.T) {
	f := func(want string, colours bool, record string) {
		t.Helper()
		o, buf := open(t, "format", "pretty")
		o.pretty.zone, o.pretty.colours = time.UTC, colours
		send(t, o, plugintest.Chunk(t, "app.web", record))
		if buf.String() != want+"\n" {
			t.Errorf("%s is printed as\n%q, expected\n%q", record, buf, want+"\n")
		}
	}
	const head = "2023-11-14 22:13:20.250 app.web"
	f(head+` INFO  order placed  id=4711 user="Jo Doe"`, false, `{"level":"info","id":4711,"message":"order placed","user":"Jo Doe"}`)
	f(head+` hello`, false, `{"log":"hello\n"}`)
	f(head+`  a=1 b=1.5 c=true d=null e={"k":[1,"x"]} f="" g="q\"x" h="a=b"`, false,
		`{"a":1,"b":1.5,"c":true,"d":null,"e":{"k":[1,"x"]},"f":"","g":"q\"x","h":"a=b"}`)
	f(head, false, `{}`)
	f(head+` ERROR boom  msg=other`, false, `{"level":50,"msg":"other","message":"boom"}`)
	f(head+`  level=7 message=5`, false, `{"level":7,"message":5}`)
	// Nothing of the log reaches the terminal as a command.
	f(head+` \x1b[31mred\x07\nnext  k=\x1b[2J`, false, `{"message":"\u001b[31mred\u0007\nnext","k":"\u001b[2J"}`)
	f(head+` \xc2\x9b31m`, false, `{"message":"\u009b31m"}`)
	f(head+` a\xffb é`, false, "{\"message\":\"a\xffb é\"}")

	f("\x1b[2m2023-11-14 22:13:20.250\x1b[0m \x1b[36mapp.web\x1b[0m \x1b[33mWARN \x1b[0m careful  \x1b[2mk=\x1b[0mv", true,
		`{"level":"warn","message":"careful","k":"v"}`)
}

func TestPrettyHasNoColoursOffATerminal(t *testing.T) {
	o, _ := open(t, "format", "pretty")
	if o.pretty.colours {
		t.Error("there are colours although standard output is that of a test")
	}
}

func TestContract(t *testing.T) {
	for _, format := range []string{"msgpack", "json", "json_lines", "json_stream", "pretty"} {
		t.Run(format, func(t *testing.T) {
			plugintest.Output(t, plugintest.OutputSuite{Def: Def(), Open: func(t *testing.T, _ plugintest.Behaviour) plugintest.Destination {
				f, err := os.CreateTemp(t.TempDir(), "")
				if err != nil {
					t.Fatal(err)
				}
				old := os.Stdout
				os.Stdout = f
				t.Cleanup(func() { os.Stdout = old; _ = f.Close() })
				return plugintest.Destination{Props: []string{"format", format}, Delivered: func() string {
					text, err := os.ReadFile(f.Name())
					if err != nil {
						t.Error(err)
					}
					return string(text)
				}}
			}})
		})
	}
}

func TestNoAllocationForEachEvent(t *testing.T) {
	records := make([]string, 1000)
	for i := range records {
		records[i] = `{"log":"a line of a log","n":1.5,"m":{"k":[1,"x"]}}`
	}
	c := plugintest.Chunk(t, "t", records...)
	for _, format := range []string{"msgpack", "json_lines"} {
		o, buf := open(t, "format", format)
		if n := testing.AllocsPerRun(20, func() { buf.Reset(); send(t, o, c) }); n > 10 {
			t.Errorf("in format %s a thousand events cost %.0f allocations", format, n)
		}
	}
}
