// Package authorization is the world role-authorization: may this user do this? Asked on each request that needs a user.
package authorization

import (
	"carrara.dev/policy"
	"carrara.dev/policy/internal/guest"
)

// A Request is what a user wants to do.
type Request struct {
	// Context holds time, revision, settings, facts.
	Context policy.Context
	// Principal is the user.
	Principal policy.Principal
	// Action is such as ReadSecret, WriteSecret, UpdateSecurityVersion, UpdateManifest.
	Action string
	// ResourceType is Packages, Secrets or Manifest.
	ResourceType string
	// ResourceNames are all names of one call, sorted, without duplicates.
	ResourceNames []string
}

var authorize = func(Request) policy.Decision {
	return policy.Deny("no-policy", "the program gave authorization.Authorize no function from init")
}

// Authorize makes a function the program's policy. Call it from init.
func Authorize(decide func(Request) policy.Decision, options ...policy.Option) {
	authorize = decide
	guest.Configure(options)
}

// answer asks the policy; a panic denies.
func answer(request Request) (decision policy.Decision) {
	defer guest.Recover(func(error) { decision = guest.Denied() })
	return authorize(request)
}
