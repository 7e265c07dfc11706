package config

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/option"
)

// defs returns a part of the schema by its path of keys.
func part(t *testing.T, doc any, path ...string) any {
	t.Helper()
	for _, key := range path {
		m, ok := doc.(map[string]any)
		if !ok || m[key] == nil {
			t.Fatalf("the schema has no %s of %s", key, strings.Join(path, "."))
		}
		doc = m[key]
	}
	return doc
}

func TestTheSchemaKnowsEveryOption(t *testing.T) {
	text, err := Schema(testRegistry())
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if v := part(t, doc, "$schema"); v != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("the dialect is %v", v)
	}
	has := func(def string, fields []option.Field) {
		t.Helper()
		props := part(t, doc, "$defs", def, "properties").(map[string]any)
		for _, f := range fields {
			if !f.Prefix && props[f.Name] == nil {
				t.Errorf("%s has no %s", def, f.Name)
			}
		}
		if part(t, doc, "$defs", def).(map[string]any)["additionalProperties"] != false {
			t.Errorf("%s takes other options", def)
		}
	}
	for _, def := range testRegistry().All() {
		has(defName(def.Kind, def), def.Config().Fields())
	}
	has("input.dummy", (&InputOptions{}).Fields())
	has("filter.grep", (&FilterOptions{}).Fields())
	has("output.http", (&OutputOptions{}).Fields())
	has("processor.modify", nil) // filters are processors too
	for _, f := range (&Service{}).Fields() {
		part(t, doc, "properties", "service", "properties", f.Name)
	}
	if v := part(t, doc, "$defs", "input.tail", "patternProperties", "^parser_."); v == nil {
		t.Error("prefixes are not known")
	}
	if v := part(t, doc, "$defs", "output.http", "properties", "header", "anyOf").([]any); len(v) != 2 {
		t.Error("a repeatable option takes no list")
	}
}

func TestPatternsOfTheSchemaCompile(t *testing.T) {
	text, err := Schema(testRegistry())
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	n := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, item := range v {
				if s, ok := item.(string); ok && key == "pattern" {
					n++
					if _, err := regexp.Compile(s); err != nil {
						t.Error(err)
					}
				}
				walk(item)
			}
		case []any:
			for _, item := range v {
				walk(item)
			}
		}
	}
	walk(doc)
	if n == 0 {
		t.Error("there are no patterns")
	}
	re := regexp.MustCompile(anyCase([]string{"tail", "x_1.y"}))
	for s, want := range map[string]bool{"tail": true, "TAIL": true, "X_1.Y": true, "tails": false, "x_1zy": false} {
		if re.MatchString(s) != want {
			t.Errorf("%q matches: not %v", s, want)
		}
	}
}
