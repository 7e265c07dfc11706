package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

const (
	keyInstanceID = "ec2_instance_id"
	keyAccountID  = "account_id"
)

// item is one piece of metadata.
type item struct {
	key   string
	fetch func(ctx context.Context, s *imds) (string, error)
	show  bool // add it to records

	value string
	done  bool
}

// metadata is what is to be found out, and what of it is.
type metadata struct {
	client *imds
	items  []*item // those that are wanted, in the order in which records get them
	entity bool

	tags     bool
	tagsDone bool
	keep     func(tag string) bool
	pairs    [][2]string // the tags with their values
}

func newMetadata(c *Config, client *imds) *metadata {
	m := &metadata{client: client, entity: c.EnableEntity, tags: c.TagsEnabled}
	for _, it := range [...]*item{
		{key: "az", show: c.AZ, fetch: at("/latest/meta-data/placement/availability-zone/")},
		{key: keyInstanceID, show: c.InstanceID, fetch: at("/latest/meta-data/instance-id/")},
		{key: "ec2_instance_type", show: c.InstanceType, fetch: at("/latest/meta-data/instance-type/")},
		{key: "private_ip", show: c.PrivateIP, fetch: at("/latest/meta-data/local-ipv4/")},
		{key: "vpc_id", show: c.VPCID, fetch: vpcID},
		{key: "ami_id", show: c.AMIID, fetch: at("/latest/meta-data/ami-id/")},
		{key: keyAccountID, show: c.AccountID, fetch: accountID},
		{key: "hostname", show: c.Hostname, fetch: at("/latest/meta-data/hostname/")},
	} {
		if it.show || c.EnableEntity && (it.key == keyInstanceID || it.key == keyAccountID) {
			m.items = append(m.items, it)
		}
	}
	include, exclude := slices.Clone(c.TagsInclude), slices.Clone(c.TagsExclude)
	m.keep = func(tag string) bool {
		if len(include) > 0 {
			return slices.Contains(include, tag)
		}
		return !slices.Contains(exclude, tag)
	}
	return m
}

// at fetches the text at a path.
func at(path string) func(context.Context, *imds) (string, error) {
	return func(ctx context.Context, s *imds) (string, error) { return s.get(ctx, path) }
}

// vpcID goes by the hardware address of the first interface.
func vpcID(ctx context.Context, s *imds) (string, error) {
	mac, err := s.get(ctx, "/latest/meta-data/mac/")
	if err != nil {
		return "", fmt.Errorf("get hardware address: %w", err)
	}
	return s.get(ctx, "/latest/meta-data/network/interfaces/macs/"+mac+"/vpc-id/")
}

// accountID is in the identity document.
func accountID(ctx context.Context, s *imds) (string, error) {
	text, err := s.get(ctx, "/latest/dynamic/instance-identity/document/")
	if err != nil {
		return "", err
	}
	var d struct {
		AccountID string `json:"accountId"`
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return "", fmt.Errorf("read the identity document: %w", err)
	}
	if d.AccountID == "" {
		return "", errors.New("the identity document has no accountId")
	}
	return d.AccountID, nil
}

// round asks for everything that is missing. It stops when the service turns out
// not to answer at all. The error says what is still missing then.
func (m *metadata) round(ctx context.Context, log *slog.Logger) error {
	var errs []error
	for _, it := range m.items {
		if it.done {
			continue
		}
		var err error
		if it.value, err = it.fetch(ctx, m.client); err != nil {
			errs = append(errs, fmt.Errorf("get %s: %w", it.key, err))
			if errors.Is(err, errUnreachable) {
				return errors.Join(errs...)
			}
			continue
		}
		it.done = true
	}
	if m.tags && !m.tagsDone {
		if err := m.fetchTags(ctx, log); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// fetchTags gets the names of the tags, a line each, and then the value of each.
// An instance without tags is not asked again.
func (m *metadata) fetchTags(ctx context.Context, log *slog.Logger) error {
	const path = "/latest/meta-data/tags/instance"
	names, err := m.client.get(ctx, path)
	if errors.Is(err, errNotFound) {
		log.Warn("the instance has no tags, or its metadata options do not allow them")
		m.tagsDone = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("get the names of tags: %w", err)
	}
	m.pairs = nil
	for name := range strings.SplitSeq(names, "\n") {
		if name == "" || !m.keep(name) {
			continue
		}
		value, err := m.client.get(ctx, path+"/"+name)
		if err != nil {
			m.pairs = nil
			return fmt.Errorf("get the tag %s: %w", name, err)
		}
		m.pairs = append(m.pairs, [2]string{name, value})
	}
	m.tagsDone = true
	return nil
}

// known returns the fields for records, as far as they are known.
func (m *metadata) known() *known {
	k := &known{complete: !m.tags || m.tagsDone}
	of := map[string]*item{}
	for _, it := range m.items {
		of[it.key] = it
		k.complete = k.complete && it.done
		if it.show && it.done {
			k.fields.Add(it.key, it.value)
		}
	}
	for _, pair := range m.pairs {
		k.fields.Add(pair[0], pair[1])
	}
	if m.entity && of[keyInstanceID].done && of[keyAccountID].done {
		for _, key := range [...]string{keyInstanceID, keyAccountID} {
			k.fields.Add("aws_entity_"+key, of[key].value)
		}
	}
	return k
}
