package metrics

import (
	_ "embed"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed tda.md
var tdaDoc string

// TDA describes the processor tda.
func TDA() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindProcessor,
		Name:    "tda",
		Summary: "Topological data analysis of metrics; leaves logs as they are",
		Doc:     tdaDoc,
		Config:  func() plugin.Config { return &TDAConfig{} },
	}
}

// TDAConfig is the options of the processor tda.
type TDAConfig struct {
	WindowSize, MinPoints, EmbedDim, EmbedDelay int
	Threshold                                   float64
}

// Fields binds the options.
func (c *TDAConfig) Fields() []option.Field {
	*c = TDAConfig{}
	return []option.Field{
		option.Int(&c.WindowSize, "window_size", 60, "How many samples are looked at together."),
		option.Int(&c.MinPoints, "min_points", 10, "How many samples are needed."),
		option.Int(&c.EmbedDim, "embed_dim", 3, "Dimension of the delay embedding; 1 turns it off."),
		option.Int(&c.EmbedDelay, "embed_delay", 1, "Lag of the delay embedding, in samples."),
		option.Float(&c.Threshold, "threshold", 0, "Quantile of the distances that is the limit, between 0 and 1; 0 tries several."),
	}
}

// New makes the processor.
func (c *TDAConfig) New(env *plugin.Env) (plugin.Filter, error) { return onLogs(env) }
