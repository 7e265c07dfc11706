package plugin

import (
	"fmt"
	"strings"

	"github.com/kagarilog/kagari/option"
)

// Registry is the plugins that a program knows. It does not change after it
// was made.
type Registry struct {
	defs   []*Def
	byName map[Kind]map[string]*Def
}

// NewRegistry returns a registry of defs. Two plugins of one kind and name are
// a bug.
func NewRegistry(defs ...*Def) *Registry {
	r := &Registry{defs: defs, byName: map[Kind]map[string]*Def{}}
	for _, d := range defs {
		if r.byName[d.Kind] == nil {
			r.byName[d.Kind] = map[string]*Def{}
		}
		for _, name := range append([]string{d.Name}, d.Aliases...) {
			if r.byName[d.Kind][name] != nil {
				panic(fmt.Sprintf("BUG: two plugins are called %s %s", d.Kind, name))
			}
			r.byName[d.Kind][name] = d
		}
	}
	return r
}

// Lookup finds a plugin by name or alias, ignoring case.
func (r *Registry) Lookup(k Kind, name string) (*Def, bool) {
	d, ok := r.byName[k][strings.ToLower(name)]
	return d, ok
}

// Suggest returns a sentence with the closest known name, or "".
func (r *Registry) Suggest(k Kind, name string) string {
	var names []string
	for n, d := range r.byName[k] {
		if !d.Hidden {
			names = append(names, n)
		}
	}
	return option.DidYouMean(name, names)
}

// All returns the plugins in the order of registration.
func (r *Registry) All() []*Def { return r.defs }
