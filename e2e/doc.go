// Package e2e runs the built binary against real peers, such as a Docker
// Engine with its fluentd log driver. The package has only tests; each starts
// what it needs on 127.0.0.1 and says why when it cannot.
package e2e
