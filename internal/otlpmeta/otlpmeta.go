// Package otlpmeta names the places in an event's metadata where what
// OpenTelemetry knows about a record stands:
//
//	{"otlp": {"timestamp": …, "severity_number": …, "attributes": {…},
//	          "resource": {"attributes": {…}},
//	          "scope": {"name": …, "version": …, "attributes": {…}}}}
//
// What is below "otlp" is Fluent Bit's except for resource and scope, which
// Fluent Bit keeps apart from the records, in markers at both ends of a group.
// Here every event has its own, so that no filter, split or retry can part an
// event from them.
package otlpmeta

// The keys.
const (
	Root       = "otlp"
	Resource   = "resource"
	Scope      = "scope"
	Attributes = "attributes"
	Name       = "name"
	Version    = "version"
)
