package aws

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

var everything = []string{
	"ec2_instance_type", "true", "private_ip", "on", "vpc_id", "true", "ami_id", "true",
	"account_id", "true", "hostname", "true", "tags_enabled", "true", "enable_entity", "true",
}

// The results here were observed on Fluent Bit 5.1.1 with a service that answers
// the same.
func TestWhatIsAdded(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		newFake(t)
		if got := plugintest.Filter(t, Def(), []string{`{"a":1,"az":"old"}`}, keysAndValues...)[0]; got != want {
			t.Errorf("with %q the record is\n%s, expected\n%s", keysAndValues, got, want)
		}
	}
	f(`{"a":1,"az":"eu-central-1a","ec2_instance_id":"i-0123456789abcdef0"}`)
	f(`{"a":1,"az":"eu-central-1a","ec2_instance_id":"i-0123456789abcdef0","ec2_instance_type":"m5.large","private_ip":"10.0.0.7",`+
		`"vpc_id":"vpc-0abc","ami_id":"ami-0feed","account_id":"123456789012","hostname":"ip-10-0-0-7.ec2.internal",`+
		`"Name":"web 1","Env":"prod","team":"","aws_entity_ec2_instance_id":"i-0123456789abcdef0","aws_entity_account_id":"123456789012"}`,
		everything...)
	f(`{"a":1,"az":"old","Name":"web 1","team":""}`,
		"az", "off", "ec2_instance_id", "off", "tags_enabled", "true", "tags_include", "team, Name,nope")
	f(`{"a":1,"az":"old","Name":"web 1","team":"","aws_entity_ec2_instance_id":"i-0123456789abcdef0","aws_entity_account_id":"123456789012"}`,
		"az", "off", "ec2_instance_id", "off", "tags_enabled", "true", "tags_exclude", "Env", "enable_entity", "true")
	f(`{"a":1,"az":"old"}`, "az", "off", "ec2_instance_id", "off")
}

func TestBothFieldsOfOneNameStay(t *testing.T) {
	newFake(t)
	filter := plugintest.NewFilter(t, Def(), plugintest.Env(t))
	b := event.NewBatch("t")
	defer b.Free()
	b.Add(0).SetRecord(plugintest.Value(t, `{"az":"old"}`))
	if err := filter.Filter(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	const want = `{"az"=>"old", "az"=>"eu-central-1a", "ec2_instance_id"=>"i-0123456789abcdef0"}`
	if got := string(event.AppendText(nil, b.Events[0].Record())); got != want {
		t.Errorf("the record is %s, expected %s", got, want)
	}
}

func TestVersion1NeedsNoToken(t *testing.T) {
	fake := newFake(t)
	fake.v1 = true
	got := plugintest.Filter(t, Def(), []string{`{}`}, "imds_version", "v1", "ec2_instance_id", "false")[0]
	if got != `{"az":"eu-central-1a"}` || fake.tokens != 0 {
		t.Errorf("the record is %s after %d tokens", got, fake.tokens)
	}
}

func TestOneTokenServesAllQuestions(t *testing.T) {
	fake := newFake(t)
	filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), everything...)
	plugintest.Filtered(t, filter, "t", plugintest.Event{Record: `{}`})
	if got := fake.requests(); fake.tokens != 1 || len(got) != 14 {
		t.Errorf("the service gave %d tokens and was asked %q", fake.tokens, got)
	}
	plugintest.Filtered(t, filter, "t", plugintest.Event{Record: `{}`})
	if got := fake.requests(); len(got) != 14 {
		t.Errorf("the service was asked again: %q", got[14:])
	}
}

// fast makes a filter whose retries do not wait.
func fast(t *testing.T, env *plugin.Env, keysAndValues ...string) *Filter {
	t.Helper()
	f, err := plugintest.TryFilter(Def(), env, keysAndValues...)
	if err != nil {
		t.Fatal(err)
	}
	filter := f.(*Filter)
	filter.retry = time.Millisecond
	if err := filter.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = filter.Close() })
	return filter
}

// until waits for a record to become want.
func until(t *testing.T, filter plugin.Filter, want string) {
	t.Helper()
	var got string
	for end := time.Now().Add(plugintest.Patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if got = plugintest.Filtered(t, filter, "t", plugintest.Event{Record: `{}`})[0].Record; got == want {
			return
		}
	}
	t.Fatalf("the record stays %s, expected %s at some time", got, want)
}

func TestWhatIsMissingIsLeftOutAndAskedForAgain(t *testing.T) {
	plugintest.NoLeaks(t)
	fake := newFake(t)
	restore := fake.without("/hostname/", "/tags/instance/Env", "/document/")
	env, log := plugintest.LoggedEnv(t)
	filter := fast(t, env, "hostname", "true", "tags_enabled", "true", "account_id", "true", "ec2_instance_id", "false")
	if got := plugintest.Filtered(t, filter, "t", plugintest.Event{Record: `{"a":1}`}, plugintest.Event{Record: `{}`}); got[0].Record != `{"a":1,"az":"eu-central-1a"}` {
		t.Errorf("the record is %s", got[0].Record)
	}
	if n := plugintest.Counters(env)["kagari_filter_unchanged_records_total{reason=metadata_missing}"]; n != 2 {
		t.Errorf("%d records were counted as lacking something, expected 2", n)
	}
	if text := log.String(); !strings.Contains(text, "get hostname") || !strings.Contains(text, "get the tag Env") {
		t.Errorf("the log does not say what is missing: %s", text)
	}
	restore()
	until(t, filter, `{"az":"eu-central-1a","account_id":"123456789012","hostname":"ip-10-0-0-7.ec2.internal","Name":"web 1","Env":"prod","team":""}`)
}

func TestAnInstanceWithoutTagsIsNotAskedAgain(t *testing.T) {
	fake := newFake(t)
	fake.without("/tags/instance")
	env, log := plugintest.LoggedEnv(t)
	filter := fast(t, env, "tags_enabled", "true")
	got := plugintest.Filtered(t, filter, "t", plugintest.Event{Record: `{}`})[0].Record
	if got != `{"az":"eu-central-1a","ec2_instance_id":"i-0123456789abcdef0"}` || !filter.known.Load().complete {
		t.Errorf("the record is %s", got)
	}
	if !strings.Contains(log.String(), "has no tags") {
		t.Error("the log does not say that there are no tags")
	}
}

func TestAnEntityNeedsInstanceAndAccount(t *testing.T) {
	fake := newFake(t)
	restore := fake.without("/document/")
	filter := fast(t, plugintest.Env(t), "enable_entity", "true", "az", "false", "ec2_instance_id", "false")
	until(t, filter, `{}`)
	restore()
	until(t, filter, `{"aws_entity_ec2_instance_id":"i-0123456789abcdef0","aws_entity_account_id":"123456789012"}`)
}

func TestATokenWhoseTimeIsOverIsReplaced(t *testing.T) {
	fake := newFake(t)
	restore := fake.without("/hostname/")
	filter := fast(t, plugintest.Env(t), "hostname", "true", "az", "false", "ec2_instance_id", "false")
	until(t, filter, `{}`)
	fake.mu.Lock()
	fake.token = "token-1"
	fake.mu.Unlock()
	restore()
	until(t, filter, `{"hostname":"ip-10-0-0-7.ec2.internal"}`)
}

func TestOneFailedConnectionEndsARound(t *testing.T) {
	t.Setenv(endpointVariable, "http://127.0.0.1:1")
	env, log := plugintest.LoggedEnv(t)
	filter := plugintest.NewFilter(t, Def(), env, everything...)
	if got := plugintest.Filtered(t, filter, "t", plugintest.Event{Record: `{"a":1}`})[0].Record; got != `{"a":1}` {
		t.Errorf("the record is %s", got)
	}
	if n := strings.Count(log.String(), "connection refused"); n != 1 {
		t.Errorf("the log names the service %d times: %s", n, log)
	}
}

func TestRecordsWaitNoLongerThanTheirContext(t *testing.T) {
	plugintest.NoLeaks(t)
	fake := newFake(t)
	fake.wait = make(chan struct{})
	defer close(fake.wait)
	env := plugintest.Env(t)
	filter := fast(t, env)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := event.NewBatch("t")
	defer b.Free()
	b.Add(0)
	if err := filter.Filter(ctx, b); err != nil || b.Events[0].Len() != 0 {
		t.Errorf("the error is %v, the record %s", err, plugintest.JSON(b.Events[0].Record()))
	}
}

func TestBadAnswersAreSaid(t *testing.T) {
	f := func(path, answer, want string, keysAndValues ...string) {
		t.Helper()
		fake := newFake(t)
		fake.values[path] = answer
		env, log := plugintest.LoggedEnv(t)
		filter := plugintest.NewFilter(t, Def(), env, append([]string{"az", "false", "ec2_instance_id", "false"}, keysAndValues...)...)
		if got := plugintest.Filtered(t, filter, "t", plugintest.Event{Record: `{"a":1}`})[0].Record; got != `{"a":1}` {
			t.Errorf("the record is %s", got)
		}
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q: %s", want, log)
		}
	}
	const document = "/latest/dynamic/instance-identity/document/"
	f(document, `{"accountId":`, "read the identity document", "account_id", "true")
	f(document, `{"region":"x"}`, "has no accountId", "account_id", "true")
	f("/latest/meta-data/hostname/", strings.Repeat("x", 1<<17), "not complete", "hostname", "true")
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		if _, err := plugintest.TryFilter(Def(), plugintest.Env(t), keysAndValues...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, expected one with %q", keysAndValues, err, want)
		}
	}
	f("v1, v2", "imds_version", "v3")
	f("cannot be given both", "tags_enabled", "true", "tags_include", "a", "tags_exclude", "b")
	t.Setenv(endpointVariable, "169.254.169.254:80")
	f(endpointVariable)
}

func TestNothingIsAllocated(t *testing.T) {
	newFake(t)
	filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), everything...)
	if n := plugintest.AllocsPerEvent(t, filter, `{"a":1,"log":"some text"}`); n > 0.02 {
		t.Errorf("%v allocations per event, expected none", n)
	}
}

func BenchmarkFilter(b *testing.B) {
	b.Setenv(endpointVariable, "http://127.0.0.1:1")
	filter := plugintest.NewFilter(b, Def(), plugintest.Env(b)).(*Filter)
	<-filter.first
	k := &known{complete: true}
	k.fields.Add("az", "eu-central-1a")
	k.fields.Add("ec2_instance_id", "i-0123456789abcdef0")
	filter.known.Store(k)
	plugintest.BenchmarkFilter(b, filter, `{"log":"some text of some length","stream":"stdout"}`)
}
