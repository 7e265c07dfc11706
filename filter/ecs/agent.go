package ecs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/httpx"
	"github.com/kagarilog/kagari/internal/netx"
)

// agent is a client of the introspection endpoint of the ECS agent (Amazon ECS
// Developer Guide, "Container introspection").
//
//	GET /v1/metadata               Cluster, ContainerInstanceArn, Version
//	GET /v1/tasks?dockerid=ID      Arn, Family, Version, Containers
type agent struct {
	client *httpx.Client
	base   *url.URL
}

// answerTime is the limit for the connection and for each answer. Records wait
// meanwhile; Fluent Bit waits for an answer without a limit.
const answerTime = 5 * time.Second

// maxAnswer is more than a task with all its containers takes, in bytes.
const maxAnswer = 1 << 20

func newAgent(base *url.URL) (*agent, error) {
	d, err := netx.NewDialer(&netx.Client{
		ConnectTimeout: answerTime, IOTimeout: answerTime,
		Keepalive: true, KeepaliveIdle: 30 * time.Second, IgnoreProxyEnv: true,
	}, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("make client of the ECS agent: %w", err)
	}
	client, err := httpx.NewClient(d, httpx.ClientOptions{ResponseTimeout: answerTime})
	if err != nil {
		return nil, fmt.Errorf("make client of the ECS agent: %w", err)
	}
	return &agent{client, base}, nil
}

// The names that templates know.
var (
	clusterKeys = []string{"ClusterName", "ContainerInstanceArn", "ContainerInstanceID", "ECSAgentVersion"}
	taskKeys    = []string{
		"TaskARN", "TaskID", "TaskDefinitionFamily", "TaskDefinitionVersion",
		"ContainerID", "DockerContainerName", "ECSContainerName",
	}
)

// known tells whether something may be known under a name.
func known(key string, clusterOnly bool) bool {
	return slices.Contains(clusterKeys, key) || !clusterOnly && slices.Contains(taskKeys, key)
}

// get reads the answer to a question into v.
func (a *agent) get(ctx context.Context, path, query string, v any) error {
	u := *a.base
	u.Path, u.RawQuery = path, query
	resp, err := a.client.Do(ctx, &httpx.Request{Method: http.MethodGet, URL: &u, MaxAnswer: maxAnswer})
	switch {
	case err != nil:
		return err
	case resp.Status != http.StatusOK:
		return fmt.Errorf("GET %s: the agent answered %d %s", &u, resp.Status, http.StatusText(resp.Status))
	case resp.Truncated:
		return fmt.Errorf("GET %s: the answer is not complete", &u)
	}
	if err := json.Unmarshal(resp.Body, v); err != nil {
		return fmt.Errorf("GET %s: read the answer: %w", &u, err)
	}
	return nil
}

// cluster returns what is known about the cluster and its instance.
func (a *agent) cluster(ctx context.Context) (map[string]event.Value, error) {
	var answer struct {
		Cluster              *string
		ContainerInstanceArn *string
		Version              *string
	}
	if err := a.get(ctx, "/v1/metadata", "", &answer); err != nil {
		return nil, err
	}
	if answer.Cluster == nil || answer.ContainerInstanceArn == nil || answer.Version == nil {
		return nil, errors.New("the answer about the cluster lacks Cluster, ContainerInstanceArn or Version")
	}
	id, err := lastPart(*answer.ContainerInstanceArn)
	if err != nil {
		return nil, fmt.Errorf("read ContainerInstanceArn: %w", err)
	}
	return map[string]event.Value{
		"ClusterName":          text(*answer.Cluster),
		"ContainerInstanceArn": text(*answer.ContainerInstanceArn),
		"ContainerInstanceID":  text(id),
		"ECSAgentVersion":      text(*answer.Version),
	}, nil
}

// task returns what is known about the task of the container with a short ID, for
// all containers of it by their short IDs, together with what is known about the
// cluster. Containers that it says too little about are left out, with an error.
func (a *agent) task(ctx context.Context, id string, cluster map[string]event.Value) (map[string]map[string]event.Value, error) {
	var answer struct {
		Arn        *string
		Family     *string
		Version    *string
		Containers []struct{ DockerID, DockerName, Name *string }
	}
	if err := a.get(ctx, "/v1/tasks", "dockerid="+url.QueryEscape(id), &answer); err != nil {
		return nil, err
	}
	if answer.Arn == nil || answer.Family == nil || answer.Version == nil || answer.Containers == nil {
		return nil, errors.New("the answer about the task lacks Arn, Family, Version or Containers")
	}
	taskID, err := lastPart(*answer.Arn)
	if err != nil {
		return nil, fmt.Errorf("read Arn: %w", err)
	}
	all := map[string]map[string]event.Value{}
	for i, c := range answer.Containers {
		if c.DockerID == nil || c.DockerName == nil || c.Name == nil || len(*c.DockerID) < idLength {
			err = fmt.Errorf("container %d of the task lacks DockerId, DockerName or Name", i)
			continue
		}
		values := map[string]event.Value{
			"TaskARN":               text(*answer.Arn),
			"TaskID":                text(taskID),
			"TaskDefinitionFamily":  text(*answer.Family),
			"TaskDefinitionVersion": text(*answer.Version),
			"ContainerID":           text(*c.DockerID),
			"DockerContainerName":   text(*c.DockerName),
			"ECSContainerName":      text(*c.Name),
		}
		for key, v := range cluster {
			values[key] = v
		}
		all[(*c.DockerID)[:idLength]] = values
	}
	return all, err
}

func text(s string) event.Value { return event.AppendString(nil, s) }

// lastPart returns what an ARN has behind its last slash.
func lastPart(arn string) (string, error) {
	i := strings.LastIndexByte(arn, '/')
	if i <= 0 || i == len(arn)-1 {
		return "", fmt.Errorf("%q has no ID at its end", arn)
	}
	return arn[i+1:], nil
}
