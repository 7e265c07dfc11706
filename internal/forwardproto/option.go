package forwardproto

import (
	"github.com/kagarilog/kagari/event"
)

// The values of the option fluent_signal.
const (
	SignalLogs    = 0
	SignalMetrics = 1
	SignalTraces  = 2
)

// Options is the option map of a message.
type Options struct {
	// Chunk is the id that the sender wants to have acknowledged, as an encoded
	// string; nil if it does not ask.
	Chunk event.Value
	// Compressed is "gzip" or "zstd" for entries packed so, as the sender says.
	Compressed []byte
	// Signal is one of the Signal constants.
	Signal int
	// Metadata is the metadata of the event of a Message; nil if there is none.
	Metadata event.Value
}

var (
	errOptions  = &Malformed{"invalid_options", "the options of a message are neither a map nor nil"}
	errChunk    = &Malformed{"invalid_options", "the option chunk is not a string"}
	errSignal   = &Malformed{"invalid_options", "the option fluent_signal is none of 0, 1 and 2"}
	errMetadata = &Malformed{"invalid_options", "the option metadata is not a map"}
)

// ParseOptions reads an option map. nil, which old Docker versions send,
// counts as empty; unknown options are ignored. The first of equal keys counts.
func ParseOptions(v event.Value) (o Options, err error) {
	switch v.Kind() {
	case event.KindNil:
		return o, nil
	case event.KindMap:
	default:
		return o, errOptions
	}
	n, b, _ := event.ReadMapHeader(v)
	haveSignal := false
	for ; n > 0; n-- {
		var key, val event.Value
		if key, b, err = event.Next(b); err != nil {
			return o, errOptions
		}
		if val, b, err = event.Next(b); err != nil {
			return o, errOptions
		}
		if key.Kind() != event.KindString {
			continue
		}
		name, _ := key.Str()
		switch string(name) {
		case "chunk":
			if val.Kind() != event.KindString {
				return o, errChunk
			}
			if o.Chunk == nil {
				o.Chunk = val
			}
		case "compressed":
			if val.Kind() == event.KindString && o.Compressed == nil {
				o.Compressed, _ = val.Str()
			}
		case "fluent_signal":
			sig, ok := val.Int()
			if !ok || sig < SignalLogs || sig > SignalTraces {
				return o, errSignal
			}
			if !haveSignal {
				o.Signal, haveSignal = int(sig), true
			}
		case "metadata":
			if val.Kind() != event.KindMap {
				return o, errMetadata
			}
			if o.Metadata == nil {
				o.Metadata = val
			}
		}
	}
	return o, nil
}

// AppendAck appends the acknowledgement of a chunk, whose id is an encoded
// string.
func AppendAck(dst []byte, chunk event.Value) []byte {
	dst = append(dst, 0x81, 0xa3, 'a', 'c', 'k')
	return append(dst, chunk...)
}

// ParseAck reads an acknowledgement and returns the id of the chunk.
func ParseAck(v event.Value) (chunk []byte, ok bool) {
	if v.Kind() != event.KindMap {
		return nil, false
	}
	id, ok := v.Get("ack")
	if !ok {
		return nil, false
	}
	return id.Str()
}
