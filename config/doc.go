// Package config reads configurations in both formats of Fluent Bit, classic
// and YAML.
//
// [ReadTree] reads a file and what it includes into a [Tree] of sections as
// they were written, each key and value with its place. [Load] makes of it a
// [Config]: variables expanded, the [Service] decoded, parsers and stream tasks
// collected from all files, and the plugins as a list of [Instance]. Options of
// plugins are decoded by [Instance.Decode], together with those that every
// instance has ([InputOptions], [FilterOptions], [OutputOptions]).
// [Config.Check] looks at the whole and needs to know the plugins.
//
// Everything returns all problems at once. What Fluent Bit refuses is an
// error, what it ignores in silence a warning; [Render] shows them with the
// lines they are about.
//
// The formats are read as Fluent Bit 5.1.1 reads them, oddities included (its
// src/config_format, flb_env.c, flb_config.c and flb_processor.c). The YAML
// reader is our own, since a configuration must not change its meaning: it
// takes exactly what libyaml takes, which is not what other readers take. Files
// are bounded in size, number and nesting, and no content makes them hang.
//
// What is different on purpose:
//   - The variable FLB_LOG_LEVEL wins over log_level; Fluent Bit 5.1.1 refuses
//     to start with both.
//   - Files that a pattern includes come in the order of their names, not of
//     the directory.
//   - A pattern in the includes of YAML works with a relative path to the main
//     file as well.
//   - An unindented first line is refused; Fluent Bit takes its first letter
//     for the indentation.
package config
