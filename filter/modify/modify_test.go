package modify

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "set", "a b") }

// modified returns what becomes of one record.
func modified(t *testing.T, record string, keysAndValues ...string) string {
	t.Helper()
	return plugintest.Filter(t, Def(), []string{record}, keysAndValues...)[0]
}

func TestRules(t *testing.T) {
	f := func(record, want string, keysAndValues ...string) {
		t.Helper()
		if got := modified(t, record, keysAndValues...); got != want {
			t.Errorf("%q makes %s of %s, expected %s", keysAndValues, got, record, want)
		}
	}
	const abc = `{"a":1,"b":"x","c":null}`
	f(abc, `{"b":"x","c":null,"a":"new"}`, "Set", "a new")
	f(abc, `{"a":1,"b":"x","c":null,"d":"a b"}`, "Set", `d "a b"`)
	f(abc, `{"a":1,"b":"x","c":null,"d":""}`, "Set", `d ""`)
	f(abc, abc, "Add", "a new")
	f(abc, `{"a":1,"b":"x","c":null,"d":"5"}`, "Add", "d 5")
	f(`{}`, `{"d":"5"}`, "Add", "d 5")
	f(abc, `{"a":1,"c":null}`, "Remove", "b")
	f(abc, abc, "Remove", "x")
	f(`{"a":1}`, `{}`, "Remove", "a")
	f(`{"k1":1,"k2":2,"x":3,"k":4}`, `{"x":3}`, "Remove_wildcard", "k")
	f(`{"k1":1,"x":3}`, `{"k1":1,"x":3}`, "Remove_wildcard", "k*")
	f(`{"k1":1,"Kx":2,"x":3}`, `{"Kx":2,"x":3}`, "Remove_regex", `^k\d$`)
	f(`{"k1":1,"Kx":2,"x":3}`, `{"x":3}`, "Remove_regex", `/^k/i`)
	f(abc, `{"z":1,"b":"x","c":null}`, "Rename", "a z")
	f(abc, abc, "Rename", "a b")
	f(abc, abc, "Rename", "x z")
	// The JSON writer shows the last of several fields with a key.
	f(`{"a":1,"a":2}`, `{"z":2}`, "Rename", "a z")
	f(abc, `{"b":1,"c":null}`, "Hard_rename", "a b")
	f(abc, `{"z":1,"b":"x","c":null}`, "Hard_rename", "a z")
	f(abc, `{"b":"x","c":null}`, "Hard_rename", "a a")
	f(abc, `{"a":1,"z":1,"b":"x","c":null}`, "Copy", "a z")
	f(abc, abc, "Copy", "a b")
	f(`{"a":1,"a":2}`, `{"a":2}`, "Copy", "a b")
	f(abc, `{"a":1,"c":1,"b":"x"}`, "Hard_copy", "a c")
	f(abc, `{"b":"x","c":null,"a":null}`, "Hard_copy", "c a")
	f(abc, `{"a":1,"b":"x","c":null,"z":null}`, "Hard_copy", "c z")
	f(`{"a":1,"b":2,"b":3}`, `{"a":1,"b":3}`, "Hard_copy", "a b")
	f(`{"x":1,"k1":2,"y":3,"k2":4}`, `{"k1":2,"k2":4,"x":1,"y":3}`, "Move_to_start", "k")
	f(`{"x":1,"k1":2,"y":3,"k2":4}`, `{"x":1,"y":3,"k1":2,"k2":4}`, "Move_to_end", "k")
	f(abc, abc, "Move_to_end", "b*")
	// In the order in which they are written.
	f(abc, `{"b":"x","c":null,"z":"2"}`, "Rename", "a z", "Set", "z 2")
	f(abc, `{"z":1,"b":"x","c":null,"y":"2"}`, "Add", "z 2", "Rename", "z y", "Rename", "a z")
	// Three words make a rename of the first to the third.
	f(abc, `{"z":1,"b":"x","c":null}`, "Set", "a b z")
}

func TestManyFieldsAreMovedInOrder(t *testing.T) {
	var in, want strings.Builder
	for i := range 100 {
		fmt.Fprintf(&in, `"k%d":0,"x%d":0,`, i, i)
	}
	for _, c := range "xk" {
		for i := range 100 {
			fmt.Fprintf(&want, `"%c%d":0,`, c, i)
		}
	}
	record := func(b strings.Builder) string { return "{" + strings.TrimSuffix(b.String(), ",") + "}" }
	if got := modified(t, record(in), "Move_to_end", "k"); got != record(want) {
		t.Errorf("got %s", got)
	}
}

func TestConditions(t *testing.T) {
	const record = `{"s":"text","n":5,"t":true,"z":null,"e":"","m":{"k":"v","l":["x"]},"log1":"ok","log2":"ok"}`
	f := func(want bool, conditions ...string) {
		t.Helper()
		props := []string{"Set", "hit yes"}
		for _, c := range conditions {
			props = append(props, "Condition", c)
		}
		if got := strings.Contains(modified(t, record, props...), "hit"); got != want {
			t.Errorf("conditions %q hold: %v, expected %v", conditions, got, want)
		}
	}
	f(true)
	f(true, "Key_exists s")
	f(true, "key_EXISTS z")
	f(false, "Key_exists x")
	f(false, "Key_exists")
	f(true, "No_key_matches")
	f(true, "Key_exists $m['k']")
	f(false, "Key_exists $m['x']")
	f(true, "Key_exists $s['x']") // a value that is not nested counts itself
	f(false, "Key_exists $m['l'][0]")
	f(false, "Key_exists $TAG")
	f(true, "Key_does_not_exist $TAG")
	f(true, "Key_does_not_exist x")
	f(false, "Key_does_not_exist s")
	f(true, "A_key_matches ^lo")
	f(false, "A_key_matches ^o")
	f(true, "No_key_matches ^o")
	f(false, "No_key_matches s")
	f(true, "Key_value_equals s text")
	f(false, "Key_value_equals s tex")
	f(false, "Key_value_equals n 5")
	f(false, "Key_value_equals t true")
	f(true, "Key_value_equals $m['k'] v")
	f(true, "Key_value_equals e")
	f(true, `Key_value_equals e ""`)
	f(false, "Key_value_equals s")
	f(true, "Key_value_does_not_equal s tex")
	f(true, "Key_value_does_not_equal n 5")
	f(false, "Key_value_does_not_equal x 5")
	f(true, "Key_value_matches s ^t.*t$")
	f(true, "Key_value_matches t ^true$")
	f(false, "Key_value_matches n 5")
	f(false, "Key_value_matches x .")
	f(true, "Key_value_does_not_match n 5")
	f(false, "Key_value_does_not_match x 5")
	f(false, "Key_value_does_not_match s t")
	f(true, "Matching_keys_have_matching_values ^log ^ok$")
	f(false, "Matching_keys_have_matching_values ^(log|s) ^ok$")
	f(true, "Matching_keys_have_matching_values ^nothing ^ok$")
	f(true, "Matching_keys_do_not_have_matching_values ^(log|s) ^ok$")
	f(false, "Matching_keys_do_not_have_matching_values ^log ^ok$")
	f(true, "Key_exists s", "Key_exists n")
	f(false, "Key_exists s", "Key_exists x")
}

func TestBadRulesAndConditionsAreRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		_, err := plugintest.TryFilter(Def(), plugintest.Env(t), keysAndValues...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("options %q: error %v, expected %q in it", keysAndValues, err, want)
		}
	}
	f("0 words where 2", "Set", "")
	f("1 words where 2", "Set", "a")
	f("4 words where 2", "Set", "a b c d e")
	f("2 words where 1", "Remove", "a b")
	f("quote without its end", "Set", `a "b`)
	f("regex", "Set", "v []x")
	f("regex", "Remove", "*")
	f("regex", "Remove_regex", "(")
	f("empty", "Remove_regex", `""`)
	f(`did you mean "key_exists"?`, "Condition", "Key_exist a")
	f("no expression for the value", "Condition", "Key_value_matches a")
	f("no expression for the key", "Condition", `A_key_matches ""`)
	f("regex", "Condition", "A_key_matches (")
	f("regex", "Condition", "Key_value_matches a (")
	f("record accessor", "Condition", "Key_exists $a['b")
	f("words", "Condition", "Key_value_equals a b c")
}

func TestThreeWordsAreWarnedAbout(t *testing.T) {
	env, log := plugintest.LoggedEnv(t)
	plugintest.NewFilter(t, Def(), env, "Set", "a b c")
	if !strings.Contains(log.String(), "three words") {
		t.Errorf("the log has no warning: %s", log)
	}
}

func TestBinaryKeysAndValuesCountAsText(t *testing.T) {
	b := event.NewBatch("t")
	defer b.Free()
	rec := event.AppendMapHeader(nil, 2)
	rec = event.AppendString(event.AppendBinary(rec, []byte("a")), "x")
	rec = event.AppendBinary(event.AppendString(rec, "b"), []byte("y"))
	b.Add(1).SetRecord(rec)
	f := plugintest.NewFilter(t, Def(), plugintest.Env(t), "Condition", "Key_value_equals b y", "Rename", "a z")
	if err := f.Filter(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if v, _ := b.Events[0].Get("z"); !equals(v, "x") {
		t.Errorf("the record is now %s", event.AppendText(nil, b.Events[0].Record()))
	}
}

func TestWords(t *testing.T) {
	f := func(line string, want ...string) {
		t.Helper()
		if got, err := splitWords(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q has the words %q (error %v), expected %q", line, got, err, want)
		}
	}
	f("")
	f("a", "a")
	f("  a   b", "a", "b")
	f(`'a b' "c \" \\ d"`, "a b", `c " \ d`)
	f(`"a"b`, "a", "b")
	f(`it's a"b`, "it's", `a"b`)
	f("a b c  d e ", "a", "b", "c", " d e ")
	f("a ", "a")
	f("a  ", "a", "")
}

const sample = `{"time":"2026-11-20T10:38:00.123Z","level":"info","message":"request handled by worker","http_status":200,"pid":7,"k":{"app":"web"}}`

func TestNothingIsAllocated(t *testing.T) {
	f := plugintest.NewFilter(t, Def(), plugintest.Env(t), "Condition", "Key_value_equals level info",
		"Rename", "level severity", "Remove", "pid", "Add", "cluster blue", "Set", "time no", "Copy", "message msg",
		"Remove_regex", "^http_", "Move_to_end", "m", "Hard_copy", "cluster k")
	if n := plugintest.AllocsPerEvent(t, f, sample); n > 0.02 {
		t.Errorf("%v allocations per event, expected none", n)
	}
}

func BenchmarkModify(b *testing.B) {
	f := plugintest.NewFilter(b, Def(), plugintest.Env(b), "Rename", "level severity", "Remove", "pid", "Add", "cluster blue")
	plugintest.BenchmarkFilter(b, f, sample)
}

func FuzzRule(f *testing.F) {
	for _, s := range []string{"a b", `"a b" c`, "a b c", "[]x", `'a\'' b`, "a  "} {
		f.Add(byte(0), s)
		f.Add(byte(opMoveToEnd), s)
	}
	f.Fuzz(func(t *testing.T, o byte, line string) {
		r, _, err := parseRule(op(o%byte(opMoveToEnd+1)), line)
		if err != nil {
			return
		}
		b := event.NewBatch("t")
		defer b.Free()
		e := b.Add(1)
		e.SetRecord(plugintest.Value(t, sample))
		filter := Filter{rules: []rule{r}}
		if err := filter.Filter(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if _, rest, err := event.Next(e.Record()); err != nil || len(rest) > 0 {
			t.Errorf("rule %q leaves a bad record: %v", line, err)
		}
	})
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{"Key_exists a", "Key_value_matches $k['app'] ^w", "Matching_keys_have_matching_values a b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parseCondition(line)
		if err != nil {
			return
		}
		b := event.NewBatch("t")
		defer b.Free()
		e := b.Add(1)
		e.SetRecord(plugintest.Value(t, sample))
		c.holds(e, plugintest.Env(t).Log)
	})
}
