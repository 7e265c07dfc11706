package null

import (
	"testing"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func TestContract(t *testing.T) {
	for _, format := range []string{"msgpack", "json", "json_lines", "json_stream", "unknown"} {
		t.Run(format, func(t *testing.T) {
			plugintest.Output(t, plugintest.OutputSuite{
				Def: Def(),
				Open: func(*testing.T, plugintest.Behaviour) plugintest.Destination {
					return plugintest.Destination{Props: []string{"format", format}}
				},
			})
		})
	}
}

func TestMetricsAreThrownAwayToo(t *testing.T) {
	o := plugintest.NewOutput(t, Def(), plugintest.Env(t), "format", "json")
	if err := o.Send(t.Context(), plugintest.MetricsChunk("m", []byte("anything"))); err != nil {
		t.Errorf("Send: %v", err)
	}
}
