package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strings"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// object is a JSON object; encoding/json writes its keys in order.
type object = map[string]any

// Schema returns a JSON schema (draft 2020-12) of the YAML format, for editors
// and for checks without Kagari. It knows every option as it is documented, in
// lower case with underscores. A key that has a capital letter is allowed and
// not looked at, since case does not matter.
func Schema(reg *plugin.Registry) ([]byte, error) {
	g := &schemaWriter{defs: object{}}
	doc := object{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "Kagari configuration",
		"description": "The YAML configuration of Kagari, which is that of Fluent Bit.",
		"type":        "object",
	}
	instances := func(name string, k plugin.Kind, common []option.Field) object {
		return object{"description": "The " + name + " of the pipeline, in order.", "type": "array",
			"items": g.instance(reg, k, common)}
	}
	pipeline := closed(object{
		"inputs":  instances("inputs", plugin.KindInput, (&InputOptions{}).Fields()),
		"filters": instances("filters", plugin.KindFilter, (&FilterOptions{}).Fields()),
		"outputs": instances("outputs", plugin.KindOutput, (&OutputOptions{}).Fields()),
	}, nil)
	pipeline["description"] = "What comes in, how it is shaped, and where it goes."
	g.processors(reg)
	texts := func(keys ...string) object {
		props := object{}
		for _, k := range keys {
			props[k] = scalarSchema()
		}
		return props
	}
	parser := closed(texts(parserKeys...), nil)
	parser["required"] = []string{"name", "format"}
	multilineProps := texts(multilineKeys...)
	delete(multilineProps, "rule")
	rule := closed(texts("state", "regex", "next_state"), nil)
	rule["required"] = []string{"state", "regex", "next_state"}
	multilineProps["rules"] = object{"type": "array", "items": rule}
	multilineProps["type"] = object{"enum": multilineTypes}
	multiline := closed(multilineProps, nil)
	multiline["required"] = []string{"name", "type"}
	task := closed(texts("name", "exec"), nil)
	task["required"] = []string{"name", "exec"}
	node := object{"type": "object", "required": []string{"name", "host", "port"}, "additionalProperties": scalarSchema()}
	upstream := object{"type": "object", "required": []string{"name", "nodes"},
		"properties":           object{"name": scalarSchema(), "nodes": object{"type": "array", "items": node}},
		"additionalProperties": scalarSchema()}
	service := closed(g.fields((&Service{}).Fields()), nil)
	service["description"] = "Settings of the whole process."
	list := func(doc string, items object) object {
		return object{"description": doc, "type": "array", "items": items}
	}
	doc["properties"] = object{
		"service":  service,
		"pipeline": pipeline,
		"env": object{"description": "Variables for ${NAME}, which win over those of the environment.", "anyOf": []object{
			{"type": "object", "additionalProperties": scalarSchema()},
			{"type": "array", "items": object{"type": "object", "additionalProperties": scalarSchema()}},
		}},
		"includes":          list("Files whose content stands in this place, relative to this file; * in a name is allowed.", object{"type": "string"}),
		"parsers":           list("Parsers, which turn text into records.", parser),
		"multiline_parsers": list("Parsers that join lines.", multiline),
		"stream_processor":  list("SQL tasks on the stream of records.", task),
		"upstream_servers":  list("Groups of servers for the option upstream.", upstream),
		"plugins":           list("External plugins. They are not loaded.", object{"type": "string"}),
		"customs":           list("Custom plugins.", object{"type": "object"}),
		"extensions":        object{"description": "Anything; it is not looked at.", "type": "object"},
	}
	doc["patternProperties"] = object{anyCapital: true}
	doc["additionalProperties"] = object{"description": "A flat section that is not known is ignored.",
		"type": "object", "additionalProperties": scalarSchema()}
	doc["$defs"] = g.defs
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode schema: %w", err)
	}
	return b, nil
}

const anyCapital = "[A-Z]"

type schemaWriter struct{ defs object }

// closed is an object with these keys and no others.
func closed(props, patterns object) object {
	if patterns == nil {
		patterns = object{}
	}
	patterns[anyCapital] = true
	return object{"type": "object", "properties": props, "patternProperties": patterns, "additionalProperties": false}
}

func scalarSchema() object {
	return object{"type": []string{"string", "number", "boolean", "null"}}
}

// instance is the schema of an entry of a list of plugins: any plugin by name,
// with the options of that plugin.
func (g *schemaWriter) instance(reg *plugin.Registry, k plugin.Kind, common []option.Field) object {
	names := []string{}
	var cases []object
	for _, def := range reg.All() {
		if def.Kind != k || def.Hidden {
			continue
		}
		all := append([]string{def.Name}, def.Aliases...)
		names = append(names, all...)
		g.define(k, def, common)
		cases = append(cases, object{
			"if":   object{"properties": object{"name": object{"pattern": anyCase(all)}}, "required": []string{"name"}},
			"then": object{"$ref": "#/$defs/" + defName(k, def)},
		})
	}
	sort.Strings(names)
	out := object{
		"type":       "object",
		"properties": object{"name": object{"description": "The name of the plugin.", "anyOf": []object{{"enum": names}, {"type": "string"}}}},
		"anyOf":      []object{{"required": []string{"name"}}, {"required": []string{"Name"}}, {"required": []string{"NAME"}}},
	}
	if len(cases) > 0 {
		out["allOf"] = cases
	}
	return out
}

func defName(k plugin.Kind, def *plugin.Def) string { return k.String() + "." + def.Name }

// anyCase is a pattern of the names without regard to case, in a form that
// every JSON schema tool knows.
func anyCase(names []string) string {
	var alts []string
	for _, n := range names {
		var b strings.Builder
		for _, r := range n {
			if low, up := strings.ToLower(string(r)), strings.ToUpper(string(r)); low != up {
				b.WriteString("[" + low + up + "]")
			} else {
				b.WriteString(regexp.QuoteMeta(string(r)))
			}
		}
		alts = append(alts, b.String())
	}
	return "^(" + strings.Join(alts, "|") + ")$"
}

// define adds the schema of one plugin to the definitions.
func (g *schemaWriter) define(k plugin.Kind, def *plugin.Def, common []option.Field) {
	fields := def.Config().Fields()
	for _, f := range common {
		if fieldOf(fields, f.Name) == nil {
			fields = append(fields, f)
		}
	}
	props := g.fields(fields)
	patterns := object{}
	for _, f := range fields {
		if f.Prefix {
			patterns["^"+regexp.QuoteMeta(f.Name)+"."] = g.field(f)
		}
	}
	props["name"] = object{"type": "string"}
	switch k {
	case plugin.KindInput:
		props["processors"] = object{"$ref": "#/$defs/processors"}
		props["routes"] = object{"type": "object", "description": "Where the events go instead of by match."}
	case plugin.KindOutput:
		props["processors"] = object{"$ref": "#/$defs/processors"}
	case plugin.KindProcessor:
		props["condition"] = object{"$ref": "#/$defs/condition"}
	}
	s := closed(props, patterns)
	s["description"] = def.Summary
	g.defs[defName(k, def)] = s
}

// fields is the properties of a list of options.
func (g *schemaWriter) fields(fields []option.Field) object {
	props := object{}
	for _, f := range fields {
		if f.Prefix {
			continue
		}
		props[f.Name] = g.field(f)
		for _, a := range f.Aliases {
			props[a] = g.field(f)
		}
	}
	return props
}

// variableSchema matches a text with a variable, which any option may have.
const variableSchema = `\$\{`

func pattern(p string) object { return object{"type": "string", "pattern": p + "|" + variableSchema} }

// field is the schema of one option.
func (g *schemaWriter) field(f option.Field) object {
	doc := strings.TrimSpace(f.Doc)
	if f.Unit != "" {
		doc += " Unit: " + f.Unit + "."
	}
	var one object
	switch f.Type {
	case option.TypeBool:
		one = object{"anyOf": []object{{"type": "boolean"}, pattern("^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[Oo][Nn]|[Oo][Ff][Ff]|[Yy][Ee][Ss]|[Nn][Oo])$")}}
	case option.TypeInt, option.TypeFloat:
		one = object{"anyOf": []object{{"type": "number"}, pattern(`^\s*[-+]?[0-9]`)}}
	case option.TypeSize:
		one = object{"anyOf": []object{{"type": []string{"number", "boolean"}}, pattern(`^[-+]?[0-9.]+\s*([KkMmGg]i?[Bb]?)?$|^([Ff]alse|[Oo]ff|[Nn]o)$`)}}
	case option.TypeSeconds:
		one = object{"anyOf": []object{{"type": "number"}, pattern(`^[-+]?[0-9]`)}}
	case option.TypeEnum:
		if len(f.Allowed) == 0 {
			one = scalarSchema()
			break
		}
		words := object{"enum": f.Allowed}
		one = object{"anyOf": []object{words, pattern(anyCase(f.Allowed))}}
		for _, w := range f.Allowed {
			if _, err := option.ParseBool(w); err == nil {
				one = object{"anyOf": []object{words, {"type": "boolean"}, pattern(anyCase(f.Allowed))}}
			}
		}
	case option.TypeMap:
		one = object{"type": "object"}
	default:
		one = scalarSchema()
	}
	out := one
	if f.Repeatable || f.Type == option.TypeList || f.Type == option.TypeWords {
		out = object{"anyOf": []object{one, {"type": "array", "items": one}}}
	}
	if doc != "" {
		out["description"] = doc
	}
	if f.Default != "" {
		out["default"] = f.Default
	}
	if f.Deprecated != "" {
		out["deprecated"] = true
	}
	return out
}

// processors defines the processors of an input or output, and conditions.
func (g *schemaWriter) processors(reg *plugin.Registry) {
	common := (&FilterOptions{}).ProcessorFields(plugin.KindFilter)
	own := g.instance(reg, plugin.KindProcessor, (&FilterOptions{}).ProcessorFields(plugin.KindProcessor))
	names := []string{}
	var cases []object
	if c, ok := own["allOf"].([]object); ok {
		cases = c
	}
	for _, def := range reg.All() {
		if def.Kind == plugin.KindProcessor && !def.Hidden {
			names = append(names, def.Name)
		}
		if def.Kind != plugin.KindFilter || def.Hidden {
			continue
		}
		if _, ok := reg.Lookup(plugin.KindProcessor, def.Name); ok {
			continue
		}
		names = append(names, def.Name)
		g.define(plugin.KindProcessor, def, common)
		cases = append(cases, object{
			"if":   object{"properties": object{"name": object{"pattern": anyCase(append([]string{def.Name}, def.Aliases...))}}, "required": []string{"name"}},
			"then": object{"$ref": "#/$defs/processor." + def.Name},
		})
	}
	sort.Strings(names)
	item := object{"type": "object", "properties": object{
		"name":      object{"anyOf": []object{{"enum": names}, {"type": "string"}}},
		"condition": object{"$ref": "#/$defs/condition"},
	}}
	if len(cases) > 0 {
		item["allOf"] = cases
	}
	list := object{"type": "array", "items": item}
	g.defs["processors"] = closed(object{"logs": list, "metrics": list, "traces": list}, nil)
	rule := object{"type": "object", "required": []string{"field", "op", "value"}, "properties": object{
		"field":   object{"type": "string", "description": "A record accessor such as $level."},
		"op":      pattern(anyCase(ruleOps)),
		"value":   object{"type": []string{"string", "number", "array"}},
		"context": pattern("^([Bb]ody|[Mm]etadata)$"),
	}}
	g.defs["condition"] = object{"type": "object", "required": []string{"rules"}, "properties": object{
		"op":    pattern("^([Aa][Nn][Dd]|[Oo][Rr])$"),
		"rules": object{"type": "array", "minItems": 1, "items": rule},
	}}
}
