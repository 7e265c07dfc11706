// Package kagari is the root of the log router Kagari; the command is in
// cmd/kagari, and DESIGN.md explains the tree.
package kagari

//go:generate go run ./cmd/kagari reference docs/reference
