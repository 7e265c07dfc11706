package pipetest_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/pipetest"
)

// TestSchemaHasAllKeys: the schema has the keys that the reader of files names
// when it finds another one.
func TestSchemaHasAllKeys(t *testing.T) {
	b, err := pipetest.Schema()
	if err != nil {
		t.Fatal(err)
	}
	type level struct {
		Properties map[string]struct {
			Items *struct{ Properties map[string]any }
		}
		AnyOf []struct {
			Properties map[string]struct {
				Items *struct{ Properties map[string]any }
			}
		}
	}
	var schema struct {
		level
		Defs map[string]level `json:"$defs"`
	}
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	known := func(text string) []string {
		path := filepath.Join(t.TempDir(), "a.test.yaml")
		if err := os.WriteFile(path, []byte("config: a.conf\n"+text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, _, ps := pipetest.ReadFile(path, "", 0)
		for _, p := range ps {
			if m := regexp.MustCompile(`has no key "zzz"; there are (.*)`).FindStringSubmatch(p.Message); m != nil {
				keys := strings.Split(strings.Replace(m[1], " and ", ", ", 1), ", ")
				slices.Sort(keys)
				return keys
			}
		}
		t.Fatalf("no message about a key: %v", ps)
		return nil
	}
	inTest := "tests:\n  - name: a\n    inputs: [{tag: a, records: []}]\n    "
	expect := schema.Defs["expect"].AnyOf[2].Properties
	for text, keys := range map[string][]string{
		"zzz: 1":                        slices.Sorted(maps.Keys(schema.Properties)),
		inTest + "zzz: 1":               slices.Sorted(maps.Keys(schema.Defs["test"].Properties)),
		"tests: [{inputs: [{zzz: 1}]}]": slices.Sorted(maps.Keys(schema.Defs["feed"].Properties)),
		"tests: [{inputs: [{events: [{zzz: 1}]}]}]":  slices.Sorted(maps.Keys(schema.Defs["feed"].Properties["events"].Items.Properties)),
		inTest + "expect: {a: {zzz: 1}}":             slices.Sorted(maps.Keys(expect)),
		inTest + "expect: {a: {events: [{zzz: 1}]}}": slices.Sorted(maps.Keys(expect["events"].Items.Properties)),
		inTest + "expect: {a: {count: {zzz: 1}}}":    slices.Sorted(maps.Keys(schema.Defs["condition"].Properties)),
	} {
		if want := known(text); !slices.Equal(keys, want) {
			t.Errorf("%s: the schema has %q, the reader %q", text, keys, want)
		}
	}
}
