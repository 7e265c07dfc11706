package pipetest

import (
	"encoding/json"
	"fmt"
)

// Schema returns the JSON schema (draft 2020-12) of test files, for editors.
func Schema() ([]byte, error) {
	b, err := json.MarshalIndent(fileSchema(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode schema of tests: %w", err)
	}
	return append(b, '\n'), nil
}

type object = map[string]any

func text(doc string) object    { return object{"type": "string", "description": doc} }
func listOf(item object) object { return object{"type": "array", "items": item} }
func truth(doc string) object   { return object{"type": "boolean", "description": doc} }
func ref(name string) object    { return object{"$ref": "#/$defs/" + name} }
func about(doc string, o object) object {
	out := object{"description": doc}
	for k, v := range o {
		out[k] = v
	}
	return out
}

// closed is a map with these keys and no others.
func closed(properties object, required ...string) object {
	o := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

func fileSchema() object {
	s := closed(object{
		"config":  text("The configuration, relative to this file. By default the one of the same name beside it."),
		"env":     about("Variables of the environment, for all tests.", ref("env")),
		"stubs":   ref("stubs"),
		"timeout": about("How long a test may take.", ref("duration")),
		"tests":   about("The tests.", listOf(ref("test"))),
	}, "tests")
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "Tests of a Kagari configuration"
	s["$defs"] = object{
		"env":      object{"type": "object", "additionalProperties": object{"type": []string{"string", "number", "boolean", "null"}}},
		"duration": object{"type": "string", "pattern": "^([0-9.]+(ns|us|µs|ms|s|m|h))+$"},
		"record":   object{"type": "object"},
		"stubs": object{"type": "object", "additionalProperties": ref("record"),
			"description": "Filters that are replaced, by alias or name, with the fields that they add."},
		"test": closed(object{
			"name":    text("What is tested."),
			"config":  text("The configuration, relative to this file."),
			"env":     about("Variables of the environment.", ref("env")),
			"stubs":   ref("stubs"),
			"timeout": about("How long the test may take.", ref("duration")),
			"inputs":  about("What is fed into the pipeline, step by step.", listOf(ref("feed"))),
			"expect":  object{"type": "object", "additionalProperties": ref("expect"), "description": "What arrives, by the aliases or names of outputs."},
			"only":    truth("Whether outputs that are not named get nothing."),
		}, "name", "inputs"),
		"feed": closed(object{
			"input":   text("The input, by its alias or name, such as tail.0."),
			"tag":     text("The tag. Without input the records enter behind the inputs."),
			"path":    text("For inputs that read files: the file that the lines are in."),
			"lines":   object{"type": []string{"string", "array"}, "items": object{"type": "string"}, "description": "Lines of text."},
			"file":    text("A file with the lines, relative to this file."),
			"records": about("Records.", listOf(ref("record"))),
			"events": about("Records with their times and metadata.", listOf(closed(object{
				"time": ref("time"), "metadata": ref("record"), "record": ref("record")}, "record"))),
			"wait": about("Feed nothing for a time; a step of its own.", ref("duration")),
		}),
		"time": object{"type": []string{"string", "number"}, "description": "RFC 3339, or seconds since 1970."},
		"expect": object{"anyOf": []object{
			{"const": "nothing", "description": "No record arrives."},
			about("Exactly these records arrive.", listOf(ref("record"))),
			closed(object{
				"records": about("Exactly these records arrive.", listOf(ref("record"))),
				"events": about("Exactly these arrive; what an entry leaves out is not compared.", listOf(closed(object{
					"tag": text("The tag."), "time": ref("time"), "metadata": ref("record"), "record": ref("record")}))),
				"any_order": truth("Whether the order does not count."),
				"ignore":    about("Fields that are not compared.", listOf(object{"type": "string"})),
				"contains":  about("Among others these records arrive, with at least these fields.", listOf(ref("record"))),
				"count":     object{"anyOf": []object{{"type": "integer", "minimum": 0}, ref("condition")}, "description": "The number of records."},
				"where":     about("What holds of every record.", ref("conditions")),
				"some":      about("What holds of at least one record.", ref("conditions")),
				"none":      about("What holds of no record.", ref("conditions")),
				"tag":       text("The tag of every record."),
			}),
		}},
		"conditions": object{"type": "object", "minProperties": 1, "additionalProperties": object{"anyOf": []object{
			{"type": []string{"string", "number", "boolean", "null", "array"}}, ref("condition")}}},
		"condition": conditionSchema(),
	}
	return s
}

func conditionSchema() object {
	comparable := object{"type": []string{"number", "string"}}
	return closed(object{
		"eq":        object{"description": "The value is this."},
		"ne":        object{"description": "The value is not this, or there is none."},
		"regex":     text("A regular expression in Ruby syntax that the value matches."),
		"not_regex": text("A regular expression in Ruby syntax that the value does not match."),
		"exists":    truth("Whether the field is there."),
		"absent":    truth("Whether the field is not there."),
		"gt":        about("Greater than.", comparable),
		"ge":        about("Greater or equal.", comparable),
		"lt":        about("Less than.", comparable),
		"le":        about("Less or equal.", comparable),
		"in":        object{"type": "array", "description": "The value is one of these."},
		"contains":  object{"description": "A part of the text, or an entry of the list."},
		"type":      object{"enum": typeNames, "description": "The type of the value."},
	})
}
