// Package plugintest is what tests of plugins share.
//
// [Env] makes an environment, [NewInput] and [NewOutput] a plugin from
// properties as a configuration file gives them, [Chunk] a chunk from JSON
// text. An [Emitter] records what an input emits, and [Run] drives an input.
//
// [Definition] checks what every plugin owes its users whatever it does;
// [Output] and [Input] run one through the failures that the engine expects it
// to survive. Every plugin's tests call them.
package plugintest
