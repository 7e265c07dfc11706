package redact

import (
	"strings"
	"sync"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

// one returns what becomes of a record, or "" if it is dropped.
func one(t *testing.T, record string, keysAndValues ...string) string {
	t.Helper()
	got := plugintest.Filter(t, Def(), []string{record}, keysAndValues...)
	if len(got) == 0 {
		return ""
	}
	return got[0]
}

func TestDefaults(t *testing.T) {
	f := func(record, want string) {
		t.Helper()
		if got := one(t, record); got != want {
			t.Errorf("%s becomes\n%s, expected\n%s", record, got, want)
		}
	}
	f(`{"log":"nothing"}`, `{"log":"nothing"}`)
	f(`{"log":"card 4111 1111 1111 1111 of jane@example.com"}`, `{"log":"card ***************1111 of ************.com"}`)
	f(`{"n":4111111111111111,"m":4111111111111112,"f":1.5,"t":true,"x":null}`, `{"n":"************1111","m":4111111111111112,"f":1.5,"t":true,"x":null}`)
	f(`{"password":"hunter2","a":1}`, `{"password":"********","a":1}`)
	f(`{"a":{"Secret":{"x":[1,2]},"token":5,"b":["x","a@b.com",{"pwd":"","api_key":null}]}}`,
		`{"a":{"Secret":"********","token":"********","b":["x","*******",{"pwd":"","api_key":null}]}}`)
	f(`{"log":"ip 10.0.0.1 and ::1 stay"}`, `{"log":"ip 10.0.0.1 and ::1 stay"}`)
	f(`{"log":"login password=hunter2 ok"}`, `{"log":"login password=******** ok"}`)
	f(`{"a":"x","a":"a@b.com"}`, `{"a":"*******"}`)
	f(`{}`, `{}`)
}

func TestActions(t *testing.T) {
	const record = `{"log":"4111-1111-1111-1111","mail":"jane@example.com","list":["a@b.com",1],"password":"x","a":1}`
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		if got := one(t, record, keysAndValues...); got != want {
			t.Errorf("with %q the record is\n%s, expected\n%s", keysAndValues, got, want)
		}
	}
	f(`{"list":[1],"a":1}`, "action", "drop")
	f("", "action", "drop_record")
	f(`{"log":"4111-1111-1111-1111","mail":"jane@example.com","list":["a@b.com",1],"a":1}`, "action", "drop", "detectors", "secret")
	f(`{"log":"###################","mail":"################","list":["#######",1],"password":"########","a":1}`, "keep_last", "0", "mask_char", "#")
	f(`{"log":"***************1111","list":["*******",1],"password":"********","a":1}`, "rule", "jane jane@", "action.jane", "drop")
	f(`{"log":"card:ea8f1cf8ad2a108e","mail":"email:77cff80182a460c0","list":["email:7100e543caae8feb",1],"password":"secret:c38edc8815c8489f","a":1}`,
		"action", "hash", "hash_key", "k") // As openssl dgst -sha256 -hmac k says.
	f("", "action.email", "drop_record")
}

func TestEqualThingsHaveEqualHashes(t *testing.T) {
	got := one(t, `{"a":"4111 1111 1111 1111","b":4111111111111111,"c":"A@B.com","d":"a@b.COM","e":"a@b.org"}`, "action", "hash", "hash_key", "k")
	v := plugintest.Value(t, got)
	get := func(key string) string {
		x, _ := v.Get(key)
		s, _ := x.Str()
		return string(s)
	}
	if get("a") != get("b") || get("c") != get("d") || get("d") == get("e") || !strings.HasPrefix(get("a"), "card:") || len(get("a")) != len("card:")+2*hashBytes {
		t.Errorf("the hashes are %s", got)
	}
	if got := one(t, `{"token":5,"a_token":"5"}`, "action", "hash", "hash_key", "k"); got[10:33] != got[len(got)-25:len(got)-2] {
		t.Errorf("a number and its text have the hashes %s", got)
	}
	if other := one(t, `{"a":"4111 1111 1111 1111"}`, "action", "hash", "hash_key", "another"); strings.Contains(got, other[6:len(other)-2]) {
		t.Error("another key makes the same hash")
	}
}

func TestWhichKeysAreLookedAt(t *testing.T) {
	const record = `{"log":"a@b.com","http":{"url":"c@d.com","request":{"body":"e@f.com"},"password":"x"},"list":[{"url":"g@h.com"}]}`
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		if got := one(t, record, keysAndValues...); got != want {
			t.Errorf("with %q the record is\n%s, expected\n%s", keysAndValues, got, want)
		}
	}
	f(`{"log":"*******","http":{"url":"c@d.com","request":{"body":"e@f.com"},"password":"********"},"list":[{"url":"g@h.com"}]}`, "keys", "log")
	f(`{"log":"a@b.com","http":{"url":"*******","request":{"body":"e@f.com"},"password":"********"},"list":[{"url":"*******"}]}`, "keys", "url")
	f(`{"log":"a@b.com","http":{"url":"c@d.com","request":{"body":"*******"},"password":"********"},"list":[{"url":"g@h.com"}]}`, "keys", "HTTP.request")
	f(`{"log":"*******","http":{"url":"c@d.com","request":{"body":"e@f.com"},"password":"x"},"list":[{"url":"*******"}]}`, "exclude_keys", "http")
	f(`{"log":"*******","http":{"url":"*******","request":{"body":"e@f.com"},"password":"********"},"list":[{"url":"*******"}]}`, "exclude_keys", "http.*.body")
	f(`{"log":"a@b.com","http":{"url":"*******","request":{"body":"e@f.com"},"password":"********"},"list":[{"url":"g@h.com"}]}`, "keys", "http", "exclude_keys", "body")
}

func TestBinaryValuesAndMetadata(t *testing.T) {
	filter := plugintest.NewFilter(t, Def(), plugintest.Env(t))
	b := event.NewBatch("t")
	defer b.Free()
	e := b.Add(0)
	e.Append(b.String("bin"), event.AppendBinary(nil, []byte("a@b.com")))
	e.Meta = plugintest.Value(t, `{"user":{"password":"x"},"n":"1"}`)
	if err := filter.Filter(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	v, _ := b.Events[0].Get("bin")
	if s, _ := v.Str(); v.Kind() != event.KindBinary || string(s) != "*******" {
		t.Errorf("the value is %q of kind %v", s, v.Kind())
	}
	if got := plugintest.JSON(b.Events[0].Meta); got != `{"user":{"password":"********"},"n":"1"}` {
		t.Errorf("the metadata is %s", got)
	}
}

func TestOwnRulesInRecords(t *testing.T) {
	got := one(t, `{"log":"employee E1234 in session abcdef123456, mail a@b.com"}`,
		"detectors", "none", "rule", `employee \bE[0-9]{4}\b`, "rule", `session session (\w+)`, "action.employee", "hash", "hash_key", "k")
	if !strings.HasPrefix(got, `{"log":"employee employee:`) || !strings.HasSuffix(got, ` in session ********3456, mail a@b.com"}`) {
		t.Errorf("the record is %s", got)
	}
}

func TestCounters(t *testing.T) {
	env := plugintest.Env(t)
	filter := plugintest.NewFilter(t, Def(), env, "action.jwt", "drop_record", "rule", "id ID[0-9]+")
	left := plugintest.Filtered(t, filter, "t",
		plugintest.Event{Record: `{"a":"a@b.com c@d.com","b":"4111111111111111"}`},
		plugintest.Event{Record: `{"a":"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.x"}`},
		plugintest.Event{Record: `{"a":"ID5"}`}, plugintest.Event{Record: `{"a":"x"}`})
	const name = "kagari_redact_findings_total"
	c := plugintest.Counters(env)
	if c[name+"{detector=email}"] != 2 || c[name+"{detector=card}"] != 1 || c[name+"{detector=jwt}"] != 1 || c[name+"{detector=id}"] != 1 ||
		len(left) != 3 || plugintest.Dropped(env, "redacted") != 1 {
		t.Errorf("the counters are %v, %d records are left", c, len(left))
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		if _, err := plugintest.TryFilter(Def(), plugintest.Env(t), keysAndValues...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, expected one with %q", keysAndValues, err, want)
		}
	}
	f(`there is no "emial"; did you mean "email"?`, "detectors", "card,emial")
	f("neither a detector nor a rule", "detectors", "none")
	f("needs a hash_key", "action", "hash")
	f("needs a hash_key", "action.card", "hash")
	f(`did you mean "card"?`, "action.crad", "drop")
	f("not one of mask, hash, drop, drop_record", "action.card", "x")
	f("must not be negative", "keep_last", "-1")
	f("mask_char", "mask_char", "")
	f("is taken", "rule", "email x")
	f("is taken", "rule", "all x")
	f("2 are expected", "rule", "x")
	f("option \"rule\"", "rule", "x (")
}

func TestNightfallPointsHere(t *testing.T) {
	_, err := plugintest.TryFilter(Nightfall(), plugintest.Env(t), "nightfall_api_key", "x", "policy_id", "y", "tls.verify", "off")
	if err == nil || !strings.Contains(err.Error(), "use the filter redact") {
		t.Errorf("the error is %v", err)
	}
}

const plain = `{"log":"10.2.3.4 - - [15/Jan/2024:10:20:30 +0000] \"GET /index.html?a=b&c=1705314030 HTTP/1.1\" 200 1234 \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"",` +
	`"stream":"stdout","time":"2024-01-15T10:20:30.123456789Z","kubernetes":{"pod_name":"web-5d4f8c-abcde","namespace_name":"default","labels":{"app":"web"}},"n":1705314030123}`

func TestNothingIsAllocated(t *testing.T) {
	f := func(keysAndValues ...string) {
		t.Helper()
		filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), keysAndValues...)
		if n := plugintest.AllocsPerEvent(t, filter, plain); n > 0.02 {
			t.Errorf("with %q there are %v allocations per event, expected none", keysAndValues, n)
		}
	}
	f()
	f("keys", "log,kubernetes.labels", "exclude_keys", "x.*")
	f("rule", `id \bID[0-9]{5}\b`, "detectors", "card,email,ipv6,token,secret")
	filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), "action.card", "hash", "hash_key", "k")
	if n := plugintest.AllocsPerEvent(t, filter, `{"log":"card 4111111111111111 of a@b.com","password":"x"}`); n > 0.1 {
		t.Errorf("%v allocations per event with findings, expected none", n)
	}
}

func BenchmarkNothingFound(b *testing.B) {
	plugintest.BenchmarkFilter(b, plugintest.NewFilter(b, Def(), plugintest.Env(b)), plain)
}

func BenchmarkFound(b *testing.B) {
	plugintest.BenchmarkFilter(b, plugintest.NewFilter(b, Def(), plugintest.Env(b)), `{"log":"card 4111111111111111 of a@b.com","password":"x"}`)
}

// FuzzRecord checks that what comes out is a record again, with nothing of a
// password that was in it.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"a":[{"password":"S3cr3tS3cr3t"},"a@b.com"],"b":{"c":4111111111111111}}`))
	f.Add([]byte(`{"log":"password=S3cr3tS3cr3t","x":{}}`))
	filter := plugintest.NewFilter(f, Def(), plugintest.Env(f), "detectors", "all", "action.email", "drop")
	f.Fuzz(func(t *testing.T, json []byte) {
		packed, _, err := event.AppendJSON(nil, json)
		if err != nil || event.Value(packed).Kind() != event.KindMap {
			return
		}
		b := event.NewBatch("t")
		defer b.Free()
		e := b.Add(0)
		e.SetRecord(packed)
		e.Fields()
		e.Append(event.AppendString(nil, "the_password"), event.AppendString(nil, "Unl1kely!"))
		if err := filter.Filter(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		out := b.Events[0].Record()
		if _, rest, err := event.Next(out); err != nil || len(rest) > 0 {
			t.Fatalf("the record is broken: %v, %d bytes follow", err, len(rest))
		}
		if v, ok := out.Get("the_password"); !ok || strings.Contains(string(v), "Unl1kely!") {
			t.Errorf("the record is %s", plugintest.JSON(out))
		}
	})
}

func TestSeveralGoroutines(t *testing.T) {
	env := plugintest.Env(t)
	filter := plugintest.NewFilter(t, Def(), env, "action", "hash", "hash_key", "k", "rule", "id ID[0-9]+")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				got := plugintest.Filtered(t, filter, "t", plugintest.Event{Record: `{"log":"jane@example.com ID5","x":[1]}`})
				if !strings.HasPrefix(got[0].Record, `{"log":"email:77cff80182a460c0 id:`) {
					t.Errorf("the record is %s", got[0].Record)
				}
			}
		})
	}
	wg.Wait()
	if n := plugintest.Counters(env)["kagari_redact_findings_total{detector=email}"]; n != 200 {
		t.Errorf("%d addresses were counted", n)
	}
}
