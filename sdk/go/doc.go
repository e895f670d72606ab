// Package policy is for writing policies for Carrara, the coordinator for confidential computing.
//
// A policy is a WebAssembly component that answers one question. In Go it is one function, given to the package of its
// world from init:
//
//	package main
//
//	import (
//		"carrara.dev/policy"
//		"carrara.dev/policy/authorization"
//	)
//
//	func init() { authorization.Authorize(authorize) }
//
//	func authorize(request authorization.Request) policy.Decision {
//		if request.Action == "ReadSecret" && !request.Principal.Holds("reader") {
//			return policy.Deny("no-reader", "only readers read").WithHint("ask for the role reader")
//		}
//		return policy.Allow()
//	}
//
//	func main() {}
//
// The worlds are [carrara.dev/policy/authorization] (may this user do this?), [carrara.dev/policy/admission] (may this
// Marble be activated?) and [carrara.dev/policy/validation] (is this manifest acceptable?). A program imports one of them:
// the import is what makes it a policy of that world.
//
// # What a policy may do
//
// Answer, and write bounded lines to the log with [Debug], [Info] and [Warn]. There is no clock but [Context.Now], no
// randomness, no network, no file: time.Now stands still, time.Sleep ends at once, crypto/rand and os fail, and what is
// printed is lost. Every call runs in a fresh instance: what a policy keeps in memory is gone at the next one.
//
// # When a policy fails
//
// A panic becomes a denial with the code [PolicyError]; [Failed] makes one of an error. The text is in the coordinator's
// log, the caller does not see it.
//
// # Building
//
// `carrara policy build` runs the Go compiler (GOOS=wasip1 GOARCH=wasm -buildmode=c-shared) and makes a component of the
// module, with adapter.wat in the place of the system.
//
// # Tests
//
// A policy is a function of its request, and its tests run natively with go test. Package policytest shows what it logged.
package policy
