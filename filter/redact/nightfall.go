package redact

import (
	"errors"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// Nightfall describes a filter that does not exist here. Its name is taken so that
// who comes with a configuration for Fluent Bit is told what to use instead.
func Nightfall() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindFilter,
		Name:    "nightfall",
		Summary: "Is not supported; see redact",
		Hidden:  true,
		Config:  func() plugin.Config { return nightfall{} },
	}
}

type nightfall struct{}

// Fields takes Fluent Bit's options, so that the only error is that of New.
func (nightfall) Fields() []option.Field {
	var fields []option.Field
	for _, name := range [...]string{"nightfall_api_key", "policy_id", "sampling_rate", "tls.ca_path", "tls.debug", "tls.verify", "tls.vhost"} {
		fields = append(fields, option.String(new(string), name, "", "Has no effect."))
	}
	return fields
}

// errNightfall is the answer to every configuration.
var errNightfall = errors.New("the filter nightfall sends records to a service on the Internet and is not supported; " +
	"use the filter redact, which finds card numbers, mail addresses, tokens and passwords on the spot")

func (nightfall) New(*plugin.Env) (plugin.Filter, error) { return nil, errNightfall }
