// Package engine runs the graph: it builds inputs, filters and outputs from a
// configuration, moves events between them, and owns every goroutine, retry,
// budget and acknowledgement on the way.
//
//	source  one per input (and per emitter of a filter): filters, then seals
//	        events into the open chunk of their tag
//	part    a route of an input that takes some of its events: they go on as a
//	        batch of their own, with a tag of their own, in front of the filters
//	task    a stream task: behind the filters, with a source for its results
//	entry   a closed chunk, in memory or on disk, shared by its deliveries
//	sink    one per output: a queue, workers, retries
//
// Locks, in the order in which they may nest: quota.making, source.mu, sink.mu,
// budget.mu.
// Nothing is called on a plugin while one of them is held, except that a chunk
// file is written under source.mu, which keeps the chunks of a tag in order.
//
// The life of an acknowledgement: a batch holds its Ack while it is filtered; a
// builder that got events of it holds it too; the chunk's last release, or its
// safe arrival on disk, releases it. At the end of the process a chunk that
// could not be delivered is abandoned instead, so the source keeps its events.
package engine
