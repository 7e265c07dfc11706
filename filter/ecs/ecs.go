// Package ecs is the filter ecs: it adds what the agent of Amazon ECS knows about
// the cluster, and about the task and container whose short ID is in the tag, to
// records.
//
// The agent (agent.go) is asked when the first events of a container come, and
// what it says is kept for a while (cache.go). Fields are composed once for a
// container, not for each record.
package ecs

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/constant"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the filter.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindFilter,
		Name:    "ecs",
		Summary: "Adds metadata of the ECS cluster, task and container",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	Add         []string
	TagPrefix   string
	ClusterOnly bool
	CacheTTL    time.Duration
	Host        string
	Port        int
	Retries     int
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.Lines(&c.Add, "add",
			"A key and a template for its value, such as `resource $ClusterName.$TaskDefinitionFamily.$TaskID`."),
		option.String(&c.TagPrefix, "ecs_tag_prefix", "",
			"What the tag has in front of the 12 characters of the container's short ID."),
		option.Bool(&c.ClusterOnly, "cluster_metadata_only", false,
			"Add what is known about the cluster and its instance only, for logs that come from no task."),
		option.Seconds(&c.CacheTTL, "ecs_meta_cache_ttl", "3600",
			"How long what is known about a task is kept."),
		option.String(&c.Host, "ecs_meta_host", "127.0.0.1",
			"Host of the agent's introspection endpoint."),
		option.Int(&c.Port, "ecs_meta_port", 51678,
			"Port of the agent's introspection endpoint."),
		option.Int(&c.Retries, "agent_endpoint_retries", 2,
			"How often the agent is asked for the task of one tag."),
	}
}

// addition is one field for records.
type addition struct {
	key      string
	template *event.Template
}

// New makes the filter.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	if c.Port < 1 || c.Port > 65535 {
		return nil, option.At("ecs_meta_port", fmt.Errorf("ecs_meta_port is %d; it must be from 1 to 65535", c.Port))
	}
	if c.Host == "" {
		return nil, option.At("ecs_meta_host", fmt.Errorf("ecs_meta_host is empty"))
	}
	f := &Filter{
		prefix: c.TagPrefix, clusterOnly: c.ClusterOnly, retries: c.Retries,
		log: env.Log, cache: newCache(c.CacheTTL), turn: make(chan struct{}, 1),
		bare:    unchanged(env, "no_cluster_metadata"),
		partial: unchanged(env, "no_task_metadata"),
	}
	if len(c.Add) == 0 {
		env.Log.Warn("there is no add, so nothing is added")
	}
	for _, text := range c.Add {
		words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' })
		if len(words) == 0 || len(words) > 2 {
			return nil, option.AtText("add", text, fmt.Errorf("add %q is not a key and a template without blanks", text))
		}
		value := words[len(words)-1]
		template, err := event.ParseTemplate(value)
		if err != nil {
			return nil, option.AtText("add", text, fmt.Errorf("add %q: %w", text, err))
		}
		f.warnOfKeys(template)
		f.add = append(f.add, addition{words[0], template})
		f.byTag = f.byTag || strings.Contains(value, "$TAG")
	}
	var err error
	f.agent, err = newAgent(&url.URL{Scheme: "http", Host: net.JoinHostPort(c.Host, strconv.Itoa(c.Port))})
	return f, err
}

func unchanged(env *plugin.Env, reason string) *plugin.Counter {
	return env.Stats.Counter("kagari_filter_unchanged_records_total",
		"Records that a filter should have changed but left as they were, by reason.", "reason", reason)
}

// warnOfKeys tells of keys that nothing is known under.
func (f *Filter) warnOfKeys(t *event.Template) {
	for _, key := range t.Accessors() {
		if !known(key.Key(), f.clusterOnly) {
			f.log.Warn("there is no such metadata, so that it is always empty", "key", key.Key(), "template", t.String())
		}
	}
}

// Filter adds fields.
type Filter struct {
	add         []addition
	byTag       bool // a template has the tag in it
	prefix      string
	clusterOnly bool
	retries     int
	log         *slog.Logger
	cache       *cache

	bare    *plugin.Counter // records that got nothing
	partial *plugin.Counter // records that got the cluster only

	// turn is held by who asks the agent: an element in the channel.
	turn  chan struct{}
	agent *agent
	// next is when the agent may be asked for the cluster again. Guarded by turn.
	next time.Time
}

var _ plugin.Filter = (*Filter)(nil)

// Close closes the connection to the agent.
func (f *Filter) Close() error { return f.agent.client.Close() }

// Filter adds what is known to the events of b.
func (f *Filter) Filter(ctx context.Context, b *event.Batch) error {
	m := f.lookup(ctx, b.Tag)
	if m == nil {
		f.bare.Add(len(b.Events))
		return nil
	}
	if !m.task && !f.clusterOnly {
		f.partial.Add(len(b.Events))
	}
	fields := &m.fields
	if f.byTag {
		fields = f.compose(m.values, b.Tag)
	}
	for i := range b.Events {
		fields.AppendTo(&b.Events[i])
	}
	return nil
}

// idLength is the length of a container's short ID.
const idLength = 12

// lookup returns what is known for a tag: about its task, else about the
// cluster, else nil.
func (f *Filter) lookup(ctx context.Context, tag string) *metadata {
	now := time.Now()
	cluster := f.cache.getCluster()
	if cluster == nil {
		if cluster = f.askCluster(ctx); cluster == nil {
			return nil
		}
	}
	if f.clusterOnly {
		return cluster
	}
	id, ok := strings.CutPrefix(tag, f.prefix)
	if !ok || len(id) < idLength {
		f.log.Warn("the tag has no short ID of a container behind ecs_tag_prefix; only cluster metadata is added",
			"tag", tag, "ecs_tag_prefix", f.prefix)
		return cluster
	}
	id = id[:idLength]
	if m := f.cache.get(id, now); m != nil {
		return m
	}
	if f.cache.failures(tag, now) >= f.retries {
		return cluster
	}
	if m := f.askTask(ctx, tag, id, cluster); m != nil {
		return m
	}
	return cluster
}

// wait takes the turn to ask the agent.
func (f *Filter) wait(ctx context.Context) bool {
	select {
	case f.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// pause is how long the agent is left alone after it could not say anything
// about the cluster. Fluent Bit asks it at every batch.
const pause = time.Second

// askCluster asks for the cluster, unless somebody else just did.
func (f *Filter) askCluster(ctx context.Context) *metadata {
	if !f.wait(ctx) {
		return nil
	}
	defer func() { <-f.turn }()
	if m := f.cache.getCluster(); m != nil {
		return m
	}
	if time.Now().Before(f.next) {
		return nil
	}
	values, err := f.agent.cluster(ctx)
	if err != nil {
		f.next = time.Now().Add(pause)
		f.log.Warn("the ECS agent does not tell about the cluster; records go on without metadata", "error", err)
		return nil
	}
	m := &metadata{values: values, fields: *f.compose(values, "")}
	f.cache.setCluster(m)
	return m
}

// askTask asks for the task of a container, unless somebody else just did.
func (f *Filter) askTask(ctx context.Context, tag, id string, cluster *metadata) *metadata {
	if !f.wait(ctx) {
		return nil
	}
	defer func() { <-f.turn }()
	now := time.Now()
	if m := f.cache.get(id, now); m != nil {
		return m
	}
	n := f.cache.failures(tag, now)
	if n >= f.retries {
		return nil
	}
	containers, err := f.agent.task(ctx, id, cluster.values)
	var found *metadata
	for short, values := range containers {
		m := &metadata{values: values, fields: *f.compose(values, ""), task: true, since: now}
		f.cache.put(short, m, now)
		if short == id {
			found = m
		}
	}
	if found != nil {
		return found
	}
	if ctx.Err() == nil {
		f.cache.failed(tag, n+1, now)
		f.log.Warn("the ECS agent does not know the task of a tag; only cluster metadata is added",
			"tag", tag, "attempt", n+1, "of", f.retries, "error", err)
	}
	return nil
}

// compose fills in the templates. What is not known is empty, as in Fluent Bit.
func (f *Filter) compose(values map[string]event.Value, tag string) *constant.Fields {
	var fields constant.Fields
	var text []byte
	lookup := func(key string) (event.Value, bool) { v, ok := values[key]; return v, ok }
	for _, a := range f.add {
		text, _ = a.template.AppendWith(text[:0], event.TemplateArgs{Tag: tag, Lookup: lookup})
		fields.Add(a.key, string(text))
	}
	return &fields
}
