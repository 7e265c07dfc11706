package ecs

import (
	"sync"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/constant"
)

// metadata is what is known about a cluster, or about a container with its task
// and cluster. It never changes.
type metadata struct {
	values map[string]event.Value // by the names that templates use
	fields constant.Fields
	task   bool
	since  time.Time
}

// cache keeps what the agent said. It is safe for concurrent use.
type cache struct {
	ttl time.Duration

	mu         sync.Mutex
	cluster    *metadata // stays
	containers map[string]*metadata
	tags       map[string]failure
	swept      time.Time
}

// failure is how often the agent did not know the task of a tag.
type failure struct {
	n     int
	since time.Time
}

func newCache(ttl time.Duration) *cache {
	return &cache{ttl: ttl, containers: map[string]*metadata{}, tags: map[string]failure{}}
}

func (c *cache) getCluster() *metadata {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cluster
}

func (c *cache) setCluster(m *metadata) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cluster = m
}

// get returns what is known about a container.
func (c *cache) get(id string, now time.Time) *metadata {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.containers[id]; m != nil && now.Sub(m.since) <= c.ttl {
		return m
	}
	return nil
}

func (c *cache) put(id string, m *metadata, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep(now)
	c.containers[id] = m
}

// failures returns how often the agent did not know the task of a tag lately.
func (c *cache) failures(tag string, now time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.tags[tag]; ok && now.Sub(f.since) <= c.ttl {
		return f.n
	}
	return 0
}

func (c *cache) failed(tag string, n int, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep(now)
	c.tags[tag] = failure{n, now}
}

// maxEntries bounds each table; a sender that makes up tags without end only
// makes the cache forget.
const maxEntries = 10000

// sweep forgets what is too old, once in a while. c.mu is held.
func (c *cache) sweep(now time.Time) {
	if full := len(c.containers) >= maxEntries || len(c.tags) >= maxEntries; !full && now.Sub(c.swept) < min(c.ttl, time.Minute) {
		return
	}
	c.swept = now
	for id, m := range c.containers {
		if now.Sub(m.since) > c.ttl {
			delete(c.containers, id)
		}
	}
	for tag, f := range c.tags {
		if now.Sub(f.since) > c.ttl {
			delete(c.tags, tag)
		}
	}
	if len(c.containers) >= maxEntries {
		clear(c.containers)
	}
	if len(c.tags) >= maxEntries {
		clear(c.tags)
	}
}
