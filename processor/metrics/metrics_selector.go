package metrics

import (
	_ "embed"
	"errors"
	"strings"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/regex"
)

//go:embed metrics_selector.md
var selectorDoc string

// Selector describes the processor metrics_selector.
func Selector() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindProcessor,
		Name:    "metrics_selector",
		Summary: "Keeps or removes metrics by name or label; leaves logs as they are",
		Doc:     selectorDoc,
		Config:  func() plugin.Config { return &SelectorConfig{} },
	}
}

// SelectorConfig is the options of the processor metrics_selector.
type SelectorConfig struct {
	MetricName, Label      string
	Context, Action, Match string
}

// Fields binds the options.
func (c *SelectorConfig) Fields() []option.Field {
	*c = SelectorConfig{}
	return []option.Field{
		option.String(&c.MetricName, "metric_name", "", "The name of metrics, or a regular expression between two slashes.").
			WithCheck(func() error {
				if s := c.MetricName; len(s) > 1 && strings.HasPrefix(s, "/") && strings.HasSuffix(s, "/") {
					_, err := regex.Compile(s)
					return err
				}
				return nil
			}),
		option.Enum(&c.Context, "context", "metric_name", []string{"metric_name", "delete_label_value"}, "What is compared: the name of a metric, or a label whose value is deleted."),
		option.Enum(&c.Action, "action", "include", []string{"include", "exclude"}, "Whether the metrics that match are kept or removed."),
		option.String(&c.Label, "label", "", "A label and its value, separated by a blank, of the context `delete_label_value`.").
			WithCheck(func() error {
				if len(option.SplitWords(c.Label, 1)) != 2 {
					return errors.New("a label and its value are expected, separated by a blank")
				}
				return nil
			}),
		option.Enum(&c.Match, "operation_type", "prefix", []string{"prefix", "substring"}, "How a name is compared: by its start, or by any part of it."),
	}
}

// New makes the processor.
func (c *SelectorConfig) New(env *plugin.Env) (plugin.Filter, error) {
	if c.Context == "metric_name" && c.MetricName == "" {
		return nil, errors.New("the processor needs a metric_name")
	}
	return onLogs(env)
}
