package metrics

import (
	_ "embed"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed labels.md
var labelsDoc string

// Labels describes the processor labels.
func Labels() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindProcessor,
		Name:    "labels",
		Summary: "Changes labels of metrics; leaves logs as they are",
		Doc:     labelsDoc,
		Config:  func() plugin.Config { return &LabelsConfig{} },
	}
}

// LabelsConfig is the options of the processor labels.
type LabelsConfig struct {
	Update, Insert, Upsert [][]string // a label and its value
	Delete, Hash           []string   // a label
}

// Fields binds the options.
func (c *LabelsConfig) Fields() []option.Field {
	*c = LabelsConfig{}
	return []option.Field{
		option.Words(&c.Update, "update", 2, 1, "A label and its new value, where there is one of that name."),
		option.Words(&c.Insert, "insert", 2, 1, "A label and its value, where there is none of that name."),
		option.Words(&c.Upsert, "upsert", 2, 1, "A label and its value, whether there is one or not."),
		option.Lines(&c.Delete, "delete", "A label to remove."),
		option.Lines(&c.Hash, "hash", "A label whose value is replaced by its SHA-256."),
	}
}

// New makes the processor.
func (c *LabelsConfig) New(env *plugin.Env) (plugin.Filter, error) { return onLogs(env) }
