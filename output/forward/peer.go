package forward

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/httpx"
	"github.com/kagarilog/kagari/option"
)

// peer is how one server wants to be talked to: the options of the output, or
// of a node of an upstream file.
type peer struct {
	sharedKey      string
	emptyKey       bool
	user, password string
	hostname       string
	timeAsInteger  bool
	retainMeta     bool
	sendOptions    bool
	requireAck     bool
	tag            string
	compress       string
	extra          [][]string

	// Made of the options by complete.
	template *event.Template // of the tag; nil to send that of the chunk
	encoding httpx.Encoding
}

// fields binds the options. Fluent Bit keeps metadata by default for a single
// server but not for the nodes of an upstream file.
func (p *peer) fields(retainMeta bool) []option.Field {
	return []option.Field{
		option.Secret(&p.sharedKey, "shared_key",
			"Key that both sides must prove to know (secure forward)."),
		option.Bool(&p.emptyKey, "empty_shared_key", false,
			"Do the handshake with an empty key."),
		option.String(&p.user, "username", "",
			"User to authenticate as. Needs `shared_key` or `empty_shared_key`."),
		option.Secret(&p.password, "password",
			"Password of the user."),
		option.String(&p.hostname, "self_hostname", "localhost",
			"Name of this side in the handshake."),
		option.Bool(&p.timeAsInteger, "time_as_integer", false,
			"Send times as whole seconds, for Fluentd before 0.14. Metadata and fractions of seconds are lost."),
		option.Bool(&p.retainMeta, "retain_metadata_in_forward_mode", retainMeta,
			"Send the metadata of records. Off, entries are `[time, record]`, which every server understands."),
		option.Bool(&p.sendOptions, "send_options", false,
			"Send the option map (size, fluent_signal) with every message. Acknowledgements, compression and added options imply it."),
		option.Bool(&p.requireAck, "require_ack_response", false,
			"Wait until the server acknowledges each chunk, and send it again if it does not. Without it, what a failing server had not yet read is lost."),
		option.String(&p.tag, "tag", "",
			"Tag to send instead of the records' own. It may contain `$TAG`, `$TAG[n]` and values of the record such as `$level`; with the latter every record is a message of its own."),
		option.Enum(&p.compress, "compress", "text", []string{"text", "gzip", "zstd"},
			"Compression of the entries: `text` for none, `gzip`, or `zstd`, which Fluent Bit's output lacks but its input and Fluentd 1.19 understand."),
	}
}

// complete checks the options and prepares what they say.
func (p *peer) complete() error {
	if p.emptyKey {
		p.sharedKey = ""
	}
	if !p.secure() && (p.user != "" || p.password != "") {
		return errors.New("username or password is given without shared_key or empty_shared_key, so that no handshake would use it")
	}
	if p.tag != "" {
		var err error
		if p.template, err = event.ParseTemplate(p.tag); err != nil {
			return fmt.Errorf("option tag: %w", err)
		}
	}
	if p.compress != "text" {
		p.encoding = httpx.Encoding(strings.ToLower(p.compress))
		if p.timeAsInteger {
			return fmt.Errorf("compress %s cannot be combined with time_as_integer", p.compress)
		}
		if p.perRecord() {
			return fmt.Errorf("compress %s cannot be combined with a tag that depends on the record", p.compress)
		}
	}
	if p.requireAck || p.encoding != "" || len(p.extra) > 0 {
		p.sendOptions = true
	}
	return nil
}

// secure tells whether there is a handshake.
func (p *peer) secure() bool { return p.sharedKey != "" || p.emptyKey }

// perRecord tells whether every record has a tag of its own.
func (p *peer) perRecord() bool { return p.template != nil && !p.template.Static() }

// keepsMeta tells whether metadata is sent.
func (p *peer) keepsMeta() bool { return p.perRecord() || p.retainMeta && !p.timeAsInteger }
