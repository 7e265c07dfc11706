// Package wire runs recorded cases against the built binary: each is a
// configuration, some input, and the requests that Fluent Bit 5.1.1 sent for
// it to a server that the test plays. The package has only tests.
//
// A case is a folder below cases/ with pipeline.conf and the files it needs,
// case.json (its keys are described at the type testCase) and expected.json.
// The configuration finds the servers in the variable PORT and those that
// case.json names, its folder in CASE, an empty one in OUT, and the
// certificate of the TLS listeners in CERT.
//
// What a server received goes through these steps:
//
//	listener  ->  message   one request, forward message, datagram or connection, as it came
//	kind      ->  exchange  what was asked (the call) and the events in it, as plain values
//	judge     ->  calls     volatile values masked, neighbours that differ only in events joined
//	differences             compared with expected.json
//
// So neither how many events share a request nor the spelling of JSON matters
// unless the case says so, but the order of calls and events does.
//
// A further kind of body is one file with a type that implements kind, and one
// line in the list of kinds.
//
// KAGARI_TEST_BIN names a binary to test instead of building one: with the
// real Fluent Bit 5.1.1 all cases pass. A single case:
//
//	go test ./conformance/wire -run 'TestCases/http-json$'
package wire
