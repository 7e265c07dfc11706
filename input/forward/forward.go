// Package forward is the input that takes events from Fluentd, Fluent Bit,
// Docker's log driver and everything else that speaks the forward protocol
// (see package forwardproto), over TCP, TLS or a unix socket.
//
// A connection is a goroutine. Its stream reads into a buffer, its decoder
// walks over what has arrived, and its sink collects the events of each tag
// into one batch per read. The entries of a large message are decoded as they
// arrive, packed ones through a decompressor, so that memory depends on the
// largest entry and not on the largest message.
//
// A message with the option chunk is acknowledged when nobody needs its events
// any more, which is when they were delivered or are on disk; Fluent Bit
// acknowledges what is only in its memory.
package forward

import (
	"context"
	_ "embed" // For the documentation.
	"errors"
	"io"
	"io/fs"
	"net"
	"time"

	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the plugin.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindInput,
		Name:    "forward",
		Summary: "Events from Fluentd, Fluent Bit and Docker by the forward protocol",
		Doc:     doc,
		Push:    true,
		Config:  func() plugin.Config { return new(Config) },
	}
}

// Config is the options.
type Config struct {
	port       netx.Port
	tagPrefix  string
	sharedKey  string
	emptyKey   bool
	hostname   string
	users      [][]string
	unixPath   string
	mode       fs.FileMode
	chunkSize  int64
	maxSize    int64
	maxMessage int64
	workers    int
	server     netx.Server
	tls        netx.TLS
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	users := option.Words(&c.users, "security.users", 2, 1,
		"A user and, after a blank, the password. With users, a peer must be one of them. Needs `shared_key` or `empty_shared_key`.")
	users.Secret = true
	fields := append(c.port.Fields(24224),
		option.String(&c.unixPath, "unix_path", "",
			"Listen on a unix socket with this path instead of a port. A socket that a dead process left behind is replaced."),
		netx.Permissions(&c.mode, "unix_perm", "",
			"Permissions of the unix socket's file as an octal number, such as 0660. Without it the umask decides."),
		option.String(&c.tagPrefix, "tag_prefix", "",
			"Text put in front of the tag that was sent. With it, the option Tag has no effect."),
		option.Secret(&c.sharedKey, "shared_key",
			"Key that a peer must prove to know (secure forward)."),
		option.Bool(&c.emptyKey, "empty_shared_key", false,
			"Do the handshake with an empty key, for authentication by user and password alone."),
		option.String(&c.hostname, "self_hostname", "localhost",
			"Name of this side in the handshake."),
		users,
		option.Size(&c.chunkSize, "buffer_chunk_size", "1024000",
			"In Fluent Bit the size of the first buffer of a connection. Here it only raises `buffer_max_size` if that is smaller; buffers start small and grow as needed."),
		option.Size(&c.maxSize, "buffer_max_size", "6144000",
			"Most memory for one record, or for one message in Message mode. The entries of Forward and PackedForward messages are decoded as they arrive, so that such a message may be larger. A message that needs more is refused and its connection closed."),
		option.Size(&c.maxMessage, "message_max_size", "1G",
			"Most bytes of the entries of one PackedForward message, before and after decompression.").WithOurs(),
		option.Int(&c.workers, "workers", 1,
			"Accepted for compatibility. Connections are served side by side without it."),
	)
	fields = append(fields, c.server.Fields()...)
	return append(fields, c.tls.ServerFields()...)
}

// Limits of memory in bytes.
const (
	minValue    = 4 << 10  // of one record, however small the options are
	sharedLeast = 64 << 20 // of the large buffers of all connections together
)

// New checks the options.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	in := &Input{env: env, cfg: *c}
	for _, u := range c.users {
		in.users = append(in.users, user{u[0], u[1]})
	}
	if len(in.users) > 0 && !in.secure() {
		return nil, option.At("security.users", errors.New("security.users is given without shared_key or empty_shared_key, so that no peer would be asked for a password"))
	}
	if c.emptyKey {
		in.cfg.sharedKey = ""
	}
	var err error
	if in.Network, in.Address, err = c.port.Or(c.unixPath); err != nil {
		return nil, err
	}
	in.maxValue = int(min(max(c.maxSize, c.chunkSize, minValue), 1<<30))
	in.budget.limit = max(sharedLeast, 4*int64(in.maxValue))
	if c.maxMessage <= 0 {
		in.cfg.maxMessage = 1 << 32 // more than a message can be
	}
	in.tags = tagRule{prefix: c.tagPrefix, fixed: env.Tag, def: env.DefaultTag}
	in.Server = c.server
	in.Options = netx.ListenOptions{
		TLS: &in.cfg.tls, Mode: c.mode, Log: env.Log,
		Reject: func(reason string) { env.Stats.Reject(reason, 1) },
	}
	if err := in.Check(); err != nil {
		return nil, err
	}
	return in, nil
}

// Input listens and turns what is sent into events.
type Input struct {
	netx.Endpoint
	env      *plugin.Env
	cfg      Config
	users    []user
	tags     tagRule
	maxValue int    // bytes of one value
	budget   budget // of buffers above the base size
}

type user struct{ name, password string }

var (
	_ plugin.Input   = (*Input)(nil)
	_ plugin.Starter = (*Input)(nil)
	_ io.Closer      = (*Input)(nil)
)

// secure tells whether peers must prove who they are.
func (in *Input) secure() bool { return in.cfg.sharedKey != "" || in.cfg.emptyKey }

// handshakeTime is how long the handshake may take.
func (in *Input) handshakeTime() time.Duration {
	if t := in.cfg.server.AcceptTimeout; t > 0 {
		return t
	}
	return stallAfter
}

// Run serves connections until ctx ends.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	o, err := in.Open(ctx)
	if err != nil {
		return err
	}
	return o.Listener.Serve(ctx, func(ctx context.Context, c net.Conn) {
		newConn(ctx, in, c, out).serve()
	})
}
