// Package plugin holds the contracts between the engine and everything that
// reads, shapes or delivers events.
//
// A plugin is a [Def]: its names, its documentation and a function that makes
// an empty configuration. The configuration's Fields bind every option; its New
// validates and returns the working value, having opened, connected and started
// nothing. The engine owns goroutines, retries, routing and acknowledgement.
//
// Optional abilities are small interfaces that the engine finds by type
// assertion: [Starter], [Checker], [Runner] and [io.Closer].
package plugin
