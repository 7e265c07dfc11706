package geoip2

import (
	"sync"

	"github.com/kagarilog/kagari/event"
)

// cacheSize is how many addresses each of the two generations of a cache holds.
const cacheSize = 4096

// cache keeps what the database says about addresses. When the young generation
// is full it becomes the old one; what is asked for there is young again. The
// zero value is ready and safe for concurrent use.
type cache struct {
	mu         sync.Mutex
	young, old map[string][]event.Value
}

// get returns what is known about an address.
func (c *cache) get(address []byte) ([]event.Value, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.young[string(address)]; ok {
		return v, true
	}
	v, ok := c.old[string(address)]
	if ok {
		c.add(address, v)
	}
	return v, ok
}

// put keeps values, which must not change, for an address.
func (c *cache) put(address []byte, v []event.Value) {
	if len(address) > maxAddress {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(address, v)
}

// add adds to the young generation. c.mu is held.
func (c *cache) add(address []byte, v []event.Value) {
	if c.young == nil || len(c.young) >= cacheSize {
		c.young, c.old = make(map[string][]event.Value), c.young
	}
	c.young[string(address)] = v
}
