package forward

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// nodeConfig is the options of a node of an upstream file.
type nodeConfig struct {
	name, host string
	port       int
	weight     int
	peer       peer
	tls        netx.TLS
}

func (c *nodeConfig) fields() []option.Field {
	fields := []option.Field{
		option.String(&c.name, "name", "", "Name of the node, for the log.").WithRequired(),
		option.String(&c.host, "host", "", "Host of the node.").WithRequired(),
		option.Int(&c.port, "port", 0, "Port of the node.").WithRequired(),
		option.Int(&c.weight, "weight", 1,
			"Share of the chunks that the node gets. With 0 it gets some only while all others fail.").WithOurs(),
	}
	fields = append(fields, c.peer.fields(false)...)
	return append(fields, c.tls.Fields()...)
}

// readUpstream makes the nodes of an upstream file. All problems are reported
// at once.
func (c *Config) readUpstream(env *plugin.Env) ([]*node, error) {
	sections, err := env.Sections(c.upstream)
	if err != nil {
		return nil, fmt.Errorf("read upstream file: %w", err)
	}
	found, err := findNodes(sections)
	if err != nil {
		return nil, fmt.Errorf("upstream file %q: %w", c.upstream, err)
	}
	var nodes []*node
	var bad []error
	for _, s := range found {
		n, err := c.newUpstreamNode(s, env)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		nodes = append(nodes, n)
	}
	if err := errors.Join(bad...); err != nil {
		for _, n := range nodes {
			_ = n.pool.Close()
		}
		return nil, err
	}
	return nodes, nil
}

// findNodes returns the sections [NODE] of a file, which must have an [UPSTREAM].
// A YAML file is given in the same form.
func findNodes(sections []plugin.Section) (nodes []plugin.Section, err error) {
	upstream := false
	for _, s := range sections {
		switch strings.ToLower(s.Name) {
		case "node":
			nodes = append(nodes, s)
		case "upstream":
			upstream = true
			if !slices.ContainsFunc(s.Props, func(p option.Property) bool { return strings.EqualFold(p.Key, "name") }) {
				return nil, fmt.Errorf("%v: the upstream has no name", s.Pos)
			}
		}
	}
	switch {
	case !upstream:
		return nil, errors.New("there is no section [UPSTREAM]")
	case len(nodes) == 0:
		return nil, errors.New("there are no nodes")
	}
	return nodes, nil
}

func (c *Config) newUpstreamNode(s plugin.Section, env *plugin.Env) (*node, error) {
	var nc nodeConfig
	fields := nc.fields()
	// Fluent Bit stores any option with a node and never looks at most.
	known := slices.DeleteFunc(slices.Clone(s.Props), func(p option.Property) bool {
		if slices.ContainsFunc(fields, func(f option.Field) bool { return strings.EqualFold(f.Name, p.Key) }) {
			return false
		}
		env.Log.Warn("an option of a node is not known and has no effect", "option", p.Key, "place", p.Pos.String())
		return true
	})
	problems := option.Decode(fields, known, "upstream node", s.Pos)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	for _, p := range problems {
		env.Log.Warn(p.Error())
	}
	if nc.weight < 0 {
		return nil, fmt.Errorf("%v: upstream node %q: weight %d is negative", s.Pos, nc.name, nc.weight)
	}
	n, err := newNode(nc.peer, nc.name, &c.client, &nc.tls, nc.host, nc.port, "", env)
	if err != nil {
		return nil, fmt.Errorf("%v: upstream node %q: %w", s.Pos, nc.name, err)
	}
	n.weight = nc.weight
	return n, nil
}

// How long a node that failed is left alone: doubled with each failure.
const (
	restFirst = time.Second
	restMost  = time.Minute
)

// balancer spreads chunks over nodes by weight and leaves those alone for a
// while that failed. It is safe for concurrent use.
type balancer struct {
	mu    sync.Mutex
	nodes []*standing
}

// standing is what the balancer knows of a node.
type standing struct {
	node  *node
	ahead int // smooth weighted round robin: the node with the most is next
	fails int
	until time.Time // left alone until then
}

func newBalancer(nodes []*node) *balancer {
	b := &balancer{}
	for _, n := range nodes {
		b.nodes = append(b.nodes, &standing{node: n})
	}
	return b
}

// pick returns the next node that is not in tried. If all of them rest it is
// nil, but not for the first try, which goes to the one that has rested the
// most.
func (b *balancer) pick(now time.Time, tried []*standing) *standing {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ready, spare []*standing
	for _, s := range b.nodes {
		switch {
		case now.Before(s.until) || slices.Contains(tried, s):
		case s.node.weight == 0:
			spare = append(spare, s)
		default:
			ready = append(ready, s)
		}
	}
	switch {
	case len(ready) > 0:
	case len(spare) > 0:
		return spare[0]
	case len(tried) > 0:
		return nil
	default:
		return slices.MinFunc(b.nodes, func(a, z *standing) int { return a.until.Compare(z.until) })
	}
	total := 0
	best := ready[0]
	for _, s := range ready {
		s.ahead += s.node.weight
		total += s.node.weight
		if s.ahead > best.ahead {
			best = s
		}
	}
	best.ahead -= total
	return best
}

// ok says that a node took a chunk.
func (b *balancer) ok(s *standing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.fails, s.until = 0, time.Time{}
}

// failed says that a node did not, and returns how long it rests.
func (b *balancer) failed(s *standing, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(s.until) && s.fails > 0 {
		return s.until.Sub(now) // another worker has said so
	}
	rest := min(restFirst<<min(s.fails, 10), restMost)
	s.fails++
	s.until = now.Add(rest)
	return rest
}
