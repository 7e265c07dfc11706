// Package aws is the filter aws: it adds what the EC2 instance metadata service
// knows about the instance to records.
//
// Start sets a goroutine to work (metadata.go) that asks the service (imds.go)
// until it has everything, and then ends. The Filter waits for the first round of
// questions, which has a time limit, so that the first records have the fields
// too, and never again.
package aws

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
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
		Name:    "aws",
		Summary: "Adds metadata of the EC2 instance",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	IMDSVersion   string
	AZ            bool
	InstanceID    bool
	InstanceType  bool
	PrivateIP     bool
	VPCID         bool
	AMIID         bool
	AccountID     bool
	Hostname      bool
	TagsEnabled   bool
	TagsInclude   []string
	TagsExclude   []string
	RetryInterval int // seconds
	EnableEntity  bool
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.Enum(&c.IMDSVersion, "imds_version", "v2", []string{"v1", "v2"},
			"The version of the instance metadata service to use. `v2` fails in a container when the hop limit of the instance is 1."),
		option.Bool(&c.AZ, "az", true,
			"Add the availability zone as `az`."),
		option.Bool(&c.InstanceID, keyInstanceID, true,
			"Add the ID of the instance."),
		option.Bool(&c.InstanceType, "ec2_instance_type", false,
			"Add the type of the instance."),
		option.Bool(&c.PrivateIP, "private_ip", false,
			"Add the private IPv4 address of the instance."),
		option.Bool(&c.VPCID, "vpc_id", false,
			"Add the ID of the VPC of the first network interface."),
		option.Bool(&c.AMIID, "ami_id", false,
			"Add the ID of the machine image."),
		option.Bool(&c.AccountID, keyAccountID, false,
			"Add the ID of the account."),
		option.Bool(&c.Hostname, "hostname", false,
			"Add the host name of the instance."),
		option.Bool(&c.TagsEnabled, "tags_enabled", false,
			"Add the tags of the instance, under their own names. Tags must be allowed in the metadata options of the instance."),
		option.Strings(&c.TagsInclude, "tags_include", "",
			"Add only these tags. Not together with `tags_exclude`."),
		option.Strings(&c.TagsExclude, "tags_exclude", "",
			"Add all tags but these."),
		option.Int(&c.RetryInterval, "retry_interval_s", 300,
			"Time before what is missing is asked for again; at least one second.").WithUnit("seconds"),
		option.Bool(&c.EnableEntity, "enable_entity", false,
			"Add the instance and the account as `aws_entity_ec2_instance_id` and `aws_entity_account_id` too."),
	}
}

// endpointVariable names the environment variable of the AWS SDKs (SDKs and
// Tools Reference Guide, "IMDS client").
const endpointVariable = "AWS_EC2_METADATA_SERVICE_ENDPOINT"

// defaultEndpoint is the link-local address of the service.
const defaultEndpoint = "http://169.254.169.254"

// New makes the filter.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	if len(c.TagsInclude) > 0 && len(c.TagsExclude) > 0 {
		if c.TagsEnabled {
			return nil, option.At("tags_exclude", errors.New("tags_include and tags_exclude cannot be given both"))
		}
		env.Log.Warn("tags_include and tags_exclude have no effect without tags_enabled, and cannot be given both with it")
	}
	endpoint := os.Getenv(endpointVariable)
	if endpoint == "" {
		endpoint = defaultEndpoint
	}
	base, err := url.Parse(strings.TrimRight(endpoint, "/"))
	if err != nil || base.Scheme != "http" || base.Host == "" {
		return nil, fmt.Errorf("the environment variable %s is %q, which is not of the form http://host[:port]", endpointVariable, endpoint)
	}
	client, err := newIMDS(base, c.IMDSVersion == "v2")
	if err != nil {
		return nil, err
	}
	return &Filter{
		metadata: newMetadata(c, client),
		retry:    option.Times(max(c.RetryInterval, 1), time.Second),
		log:      env.Log,
		unchanged: env.Stats.Counter("kagari_filter_unchanged_records_total",
			"Records that a filter should have changed but left as they were, by reason.", "reason", "metadata_missing"),
		first: make(chan struct{}),
	}, nil
}

// Filter adds fields.
type Filter struct {
	metadata  *metadata // of the goroutine
	retry     time.Duration
	log       *slog.Logger
	unchanged *plugin.Counter // of records that lack something

	first chan struct{} // closed after the first round
	known atomic.Pointer[known]

	cancel context.CancelFunc
	work   sync.WaitGroup
}

// known is what was found out so far. It never changes.
type known struct {
	fields   constant.Fields
	complete bool
}

var (
	_ plugin.Filter  = (*Filter)(nil)
	_ plugin.Starter = (*Filter)(nil)
)

// Start begins to ask the service.
func (f *Filter) Start(context.Context) error {
	var ctx context.Context
	ctx, f.cancel = context.WithCancel(context.Background())
	f.work.Go(func() { f.ask(ctx) })
	return nil
}

// Close ends the asking.
func (f *Filter) Close() error {
	if f.cancel != nil {
		f.cancel()
	}
	f.work.Wait()
	return nil
}

// roundLimit is how long one round of questions may take, and so how long the
// first records may have to wait.
const roundLimit = 10 * time.Second

// ask asks until nothing is missing.
func (f *Filter) ask(ctx context.Context) {
	defer f.metadata.client.close()
	for round := 0; ; round++ {
		limited, cancel := context.WithTimeout(ctx, roundLimit)
		err := f.metadata.round(limited, f.log)
		cancel()
		f.known.Store(f.metadata.known())
		switch {
		case ctx.Err() != nil:
		case err == nil:
			f.log.Info("the metadata of the instance is known", "fields", f.known.Load().fields.Len())
		default:
			f.log.Warn("metadata of the instance is missing and not added to records; it is asked for again", "in", f.retry, "error", err)
		}
		if round == 0 {
			close(f.first)
		}
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(f.retry):
		}
	}
}

// Filter adds what is known to the events of b.
func (f *Filter) Filter(ctx context.Context, b *event.Batch) error {
	select {
	case <-f.first:
	case <-ctx.Done():
	}
	k := f.known.Load()
	if k == nil {
		f.unchanged.Add(len(b.Events))
		return nil
	}
	if !k.complete {
		f.unchanged.Add(len(b.Events))
	}
	for i := range b.Events {
		k.fields.AppendTo(&b.Events[i])
	}
	return nil
}
