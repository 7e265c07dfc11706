package ecs

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "add", "a $ClusterName") }

// fake is a stand-in for the agent, which fails the test for what the agent does
// not know.
type fake struct {
	t *testing.T

	mu      sync.Mutex
	cluster string
	tasks   map[string]string
	asked   []string
	props   []string // options to reach it
}

const (
	clusterAnswer = `{"Cluster":"default","ContainerInstanceArn":"arn:aws:ecs:us-west-2:012345678910:container-instance/default/1f73d099-b914",` +
		`"Version":"Amazon ECS Agent - v1.30.0 (02ff320c)"}`
	taskAnswer = `{"Arn":"arn:aws:ecs:us-west-2:012345678910:task/default/e01d58a8-151b","Containers":[` +
		`{"DockerId":"79c796ed2a7f864f485c76f83f31","DockerName":"ecs-nginx-efs-2-nginx-9a","Name":"nginx"},` +
		`{"DockerId":"aaaaaaaaaaaabbbb","DockerName":"dn2","Name":"side"}],` +
		`"DesiredStatus":"RUNNING","Family":"nginx-efs","KnownStatus":"RUNNING","Version":"2"}`
)

func newFake(t *testing.T) *fake {
	f := &fake{t: t, cluster: clusterAnswer, tasks: map[string]string{"79c796ed2a7f": taskAnswer, "aaaaaaaaaaaa": taskAnswer}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	f.props = []string{"ecs_meta_host", u.Hostname(), "ecs_meta_port", u.Port()}
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.URL.RequestURI())
	answer := ""
	switch {
	case r.Method != http.MethodGet:
		f.t.Errorf("the agent was asked to %s", r.Method)
	case r.URL.Path == "/v1/metadata" && r.URL.RawQuery == "":
		answer = f.cluster
	case r.URL.Path == "/v1/tasks" && len(r.URL.Query()) == 1 && len(r.URL.Query().Get("dockerid")) == 12:
		answer = f.tasks[r.URL.Query().Get("dockerid")]
	default:
		f.t.Errorf("the agent was asked for %s", r.URL)
	}
	if answer == "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	fmt.Fprint(w, answer)
}

// questions returns what was asked since the last call.
func (f *fake) questions() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := f.asked
	f.asked = nil
	return asked
}

// filter makes one that asks the fake.
func (f *fake) filter(env *plugin.Env, keysAndValues ...string) *Filter {
	f.t.Helper()
	return plugintest.NewFilter(f.t, Def(), env, append(f.props, keysAndValues...)...).(*Filter)
}

// pass returns what becomes of a record with a tag.
func pass(t testing.TB, filter plugin.Filter, tag, record string) string {
	t.Helper()
	return plugintest.Filtered(t, filter, tag, plugintest.Event{Record: record})[0].Record
}

// The results here were observed on Fluent Bit 5.1.1 with an agent that answers
// the same.
func TestWhatIsAdded(t *testing.T) {
	props := []string{
		"ecs_tag_prefix", "ecs.", "add", "cluster $ClusterName", "add", "resource $ClusterName.$TaskDefinitionFamily.$TaskID.$ECSContainerName",
		"add", "all $ContainerInstanceArn.$ContainerInstanceID,$ECSAgentVersion.$ContainerID.", "add", "task $TaskARN",
		"add", "dn  $DockerContainerName", "add", "tv $TaskDefinitionVersion", "add", "const hello", "add", "only",
	}
	const instance = `arn:aws:ecs:us-west-2:012345678910:container-instance/default/1f73d099-b914.1f73d099-b914,Amazon ECS Agent - v1.30.0 (02ff320c).`
	f := func(tag, want string, keysAndValues ...string) {
		t.Helper()
		filter := newFake(t).filter(plugintest.Env(t), append(props, keysAndValues...)...)
		if got := pass(t, filter, tag, `{"a":1,"cluster":"x"}`); got != want {
			t.Errorf("the record of %s is\n%s, expected\n%s", tag, got, want)
		}
	}
	f("ecs.79c796ed2a7f864f485c76", `{"a":1,"cluster":"default","resource":"default.nginx-efs.e01d58a8-151b.nginx","all":"`+instance+
		`79c796ed2a7f864f485c76f83f31","task":"arn:aws:ecs:us-west-2:012345678910:task/default/e01d58a8-151b",`+
		`"dn":"ecs-nginx-efs-2-nginx-9a","tv":"2","const":"hello","only":"only"}`)
	const cluster = `{"a":1,"cluster":"default","resource":"default...","all":"` + instance + `","task":"","dn":"","tv":"","const":"hello","only":"only"}`
	f("ecs.cccccccccccc", cluster)
	f("ecs.short", cluster)
	f("other.79c796ed2a7f", cluster)
	f("ecs.79c796ed2a7f", cluster, "cluster_metadata_only", "on")
}

func TestAnAnswerServesAllContainersOfATask(t *testing.T) {
	fake := newFake(t)
	filter := fake.filter(plugintest.Env(t), "add", "n $ECSContainerName")
	for _, c := range [][2]string{{"79c796ed2a7f", "nginx"}, {"aaaaaaaaaaaa", "side"}, {"79c796ed2a7f-stderr", "nginx"}} {
		if got := pass(t, filter, c[0], `{}`); got != `{"n":"`+c[1]+`"}` {
			t.Errorf("the record of %s is %s", c[0], got)
		}
	}
	if got := strings.Join(fake.questions(), " "); got != "/v1/metadata /v1/tasks?dockerid=79c796ed2a7f" {
		t.Errorf("the agent was asked %s", got)
	}
}

func TestATaskThatIsNotKnownIsAskedForSoOften(t *testing.T) {
	fake := newFake(t)
	env := plugintest.Env(t)
	filter := fake.filter(env, "add", "n $ECSContainerName")
	for range 4 {
		if got := pass(t, filter, "cccccccccccc", `{}`); got != `{"n":""}` {
			t.Errorf("the record is %s", got)
		}
	}
	if got := fake.questions(); len(got) != 3 {
		t.Errorf("the agent was asked %q", got)
	}
	if n := plugintest.Counters(env)["kagari_filter_unchanged_records_total{reason=no_task_metadata}"]; n != 4 {
		t.Errorf("%d records were counted", n)
	}
	// Another tag of the same container has its own questions.
	fake.tasks["cccccccccccc"] = strings.Replace(taskAnswer, "aaaaaaaaaaaa", "cccccccccccc", 1)
	if got := pass(t, filter, "cccccccccccc.2", `{}`); got != `{"n":"side"}` {
		t.Errorf("the record is %s", got)
	}
}

func TestWhatIsKnownGetsOld(t *testing.T) {
	fake := newFake(t)
	filter := fake.filter(plugintest.Env(t), "add", "v $TaskDefinitionVersion", "agent_endpoint_retries", "1")
	filter.cache.ttl = 0
	f := func(tag, want string) {
		t.Helper()
		time.Sleep(time.Microsecond) // The clock must move on.
		if got := pass(t, filter, tag, `{}`); got != want {
			t.Errorf("the record is %s, expected %s", got, want)
		}
	}
	f("79c796ed2a7f", `{"v":"2"}`)
	fake.tasks["79c796ed2a7f"] = strings.Replace(taskAnswer, `"Version":"2"`, `"Version":"3"`, 1)
	f("79c796ed2a7f", `{"v":"3"}`)
	f("cccccccccccc", `{"v":""}`)
	fake.tasks["cccccccccccc"] = strings.Replace(taskAnswer, "aaaaaaaaaaaa", "cccccccccccc", 1)
	f("cccccccccccc", `{"v":"2"}`)
}

func TestRecordsStayWithoutACluster(t *testing.T) {
	fake := newFake(t)
	fake.cluster = ""
	env, log := plugintest.LoggedEnv(t)
	filter := fake.filter(env, "add", "c $ClusterName")
	for range 3 {
		if got := pass(t, filter, "79c796ed2a7f", `{"a":1}`); got != `{"a":1}` {
			t.Errorf("the record is %s", got)
		}
	}
	if got := fake.questions(); len(got) != 1 {
		t.Errorf("the agent was asked %q at once", got)
	}
	if n := plugintest.Counters(env)["kagari_filter_unchanged_records_total{reason=no_cluster_metadata}"]; n != 3 {
		t.Errorf("%d records were counted", n)
	}
	if !strings.Contains(log.String(), "answered 404") {
		t.Errorf("the log does not say why: %s", log)
	}
	fake.cluster, filter.next = clusterAnswer, time.Time{}
	if got := pass(t, filter, "79c796ed2a7f", `{"a":1}`); got != `{"a":1,"c":"default"}` {
		t.Errorf("the record is %s", got)
	}
}

func TestAnswersThatSayTooLittle(t *testing.T) {
	f := func(cluster, task, want, wantLog string) {
		t.Helper()
		fake := newFake(t)
		fake.cluster, fake.tasks["79c796ed2a7f"] = cluster, task
		env, log := plugintest.LoggedEnv(t)
		filter := fake.filter(env, "add", "c $ClusterName", "add", "n $ECSContainerName")
		if got := pass(t, filter, "79c796ed2a7f", `{}`); got != want {
			t.Errorf("the record is %s, expected %s", got, want)
		}
		if !strings.Contains(log.String(), wantLog) {
			t.Errorf("the log does not say %q: %s", wantLog, log)
		}
	}
	f(`{"Cluster":"a","Version":"v"}`, taskAnswer, `{}`, "lacks Cluster, ContainerInstanceArn or Version")
	f(`{"Cluster":"a","ContainerInstanceArn":"x","Version":"v"}`, taskAnswer, `{}`, "has no ID at its end")
	f(`{"Cluster":1,"ContainerInstanceArn":"a/b","Version":"v"}`, taskAnswer, `{}`, "read the answer")
	const cluster = `{"c":"default","n":""}`
	f(clusterAnswer, `{"Arn":"a/b"}`, cluster, "lacks Arn, Family, Version or Containers")
	f(clusterAnswer, `[]`, cluster, "read the answer")
	f(clusterAnswer, `{"Arn":"a/","Family":"f","Version":"v","Containers":[]}`, cluster, "has no ID")
	f(clusterAnswer, `{"Arn":"a/b","Family":"f","Version":"v","Containers":[{"DockerId":"79c796ed2a7"}]}`, cluster, "container 0 of the task")
	f(clusterAnswer, strings.Repeat(" ", maxAnswer)+taskAnswer, cluster, "not complete")
	f(clusterAnswer, `{"Arn":"a/b","Family":"f","Version":"v","Containers":[{},{"DockerId":"79c796ed2a7f","DockerName":"","Name":"x"}]}`, `{"c":"default","n":"x"}`, "")
}

func TestTheTagInATemplate(t *testing.T) {
	filter := newFake(t).filter(plugintest.Env(t), "add", "t $TAG[0].$ClusterName", "ecs_tag_prefix", "a.")
	for _, tag := range []string{"a.79c796ed2a7f", "b.x"} {
		if got, want := pass(t, filter, tag, `{}`), `{"t":"`+tag[:1]+`.default"}`; got != want {
			t.Errorf("the record is %s, expected %s", got, want)
		}
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	c := newCache(time.Hour)
	now := time.Now()
	for i := range 3 * maxEntries {
		c.failed(fmt.Sprint(i), 1, now)
		c.put(fmt.Sprint(i), &metadata{since: now}, now)
	}
	if len(c.tags) > maxEntries || len(c.containers) > maxEntries {
		t.Errorf("the cache has %d and %d entries", len(c.tags), len(c.containers))
	}
	c.put("x", &metadata{}, now.Add(2*time.Hour))
	if len(c.tags) != 0 || len(c.containers) != 1 {
		t.Errorf("after their time the cache has %d and %d entries", len(c.tags), len(c.containers))
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		if _, err := plugintest.TryFilter(Def(), plugintest.Env(t), keysAndValues...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, expected one with %q", keysAndValues, err, want)
		}
	}
	f("not a key and a template", "add", "a b c")
	f("not a key and a template", "add", " ")
	f("record accessor", "add", "a $a|$b")
	f("from 1 to 65535", "ecs_meta_port", "70000")
	f("ecs_meta_host", "ecs_meta_host", "")
}

func TestUnknownNamesAreSaid(t *testing.T) {
	env, log := plugintest.LoggedEnv(t)
	if _, err := plugintest.TryFilter(Def(), env, "add", "a $Cluster"); err != nil || !strings.Contains(log.String(), "no such metadata") {
		t.Errorf("the error is %v, the log %q", err, log)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	filter := newFake(t).filter(plugintest.Env(t), "add", "a $ClusterName", "cluster_metadata_only", "true")
	if n := plugintest.AllocsPerEvent(t, filter, `{"a":1}`); n > 0.02 {
		t.Errorf("%v allocations per event, expected none", n)
	}
}

func TestSeveralGoroutinesAskOnce(t *testing.T) {
	fake := newFake(t)
	filter := fake.filter(plugintest.Env(t), "add", "n $ECSContainerName")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			tag := []string{"79c796ed2a7f", "aaaaaaaaaaaa", "cccccccccccc"}[i%3]
			for range 20 {
				if got, want := pass(t, filter, tag, `{}`), []string{`{"n":"nginx"}`, `{"n":"side"}`, `{"n":""}`}[i%3]; got != want {
					t.Errorf("the record of %s is %s, expected %s", tag, got, want)
				}
			}
		})
	}
	wg.Wait()
	// The cluster, one task, and twice the one that is not known.
	if got := fake.questions(); len(got) != 4 {
		t.Errorf("the agent was asked %q", got)
	}
}
