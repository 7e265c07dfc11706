package config

import (
	"fmt"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// Processor is one step of the processors of an input or output.
type Processor struct {
	Name      string
	Signal    string // "logs", "metrics" or "traces"
	Props     []option.Property
	Condition *Condition // nil: every record
	Pos       option.Pos

	namePos option.Pos
	refused bool // see Instance
}

// Resolve tells which kind of plugin the processor is: a processor, or a filter
// that stands where a processor may. Filters work on logs only. Owner is the
// title of the input or output, for the problem.
func (p *Processor) Resolve(reg *plugin.Registry, owner string) (plugin.Kind, *option.Problem) {
	problem := &option.Problem{Pos: p.namePos, Section: owner}
	if _, ok := reg.Lookup(plugin.KindProcessor, p.Name); ok {
		return plugin.KindProcessor, nil
	}
	if _, ok := reg.Lookup(plugin.KindFilter, p.Name); ok {
		if p.Signal == "logs" {
			return plugin.KindFilter, nil
		}
		problem.Message = fmt.Sprintf("the filter %s works on logs, not on %s", p.Name, p.Signal)
		problem.Fix = "put it below logs"
		return plugin.KindFilter, problem
	}
	problem.Message = fmt.Sprintf("there is no processor or filter plugin %q", p.Name)
	if problem.Fix = reg.Suggest(plugin.KindProcessor, p.Name); problem.Fix == "" {
		problem.Fix = reg.Suggest(plugin.KindFilter, p.Name)
	}
	return plugin.KindProcessor, problem
}

// Instance is the processor as an instance of the kind that Resolve told.
func (p *Processor) Instance(kind plugin.Kind) *Instance {
	return &Instance{Kind: kind, Name: p.Name, Props: p.Props, Pos: p.Pos, namePos: p.namePos, refused: p.refused}
}

// ProcessorFields binds the options that every processor has: those of a filter
// if it is one, else less.
func (o *FilterOptions) ProcessorFields(kind plugin.Kind) []option.Field {
	all := o.Fields()
	if kind == plugin.KindFilter {
		return all
	}
	var fields []option.Field
	for _, f := range all {
		if f.Name == "alias" || f.Name == "log_level" {
			fields = append(fields, f)
		}
	}
	return fields
}
