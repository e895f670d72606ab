// The contract policy of the world role-authorization.
package main

import (
	"carrara.dev/contract"
	"carrara.dev/policy"
	"carrara.dev/policy/authorization"
)

func init() { authorization.Authorize(authorize, policy.CheckSettings(contract.Check)) }

func authorize(request authorization.Request) policy.Decision {
	return contract.Decide(request.Context, func() policy.Decision {
		return policy.Deny("echo", echo(request)).WithHint("hint").About(request.ResourceNames...)
	})
}

func echo(request authorization.Request) string {
	return contract.Context(request.Context) + " principal " + contract.Principal(request.Principal) +
		" action" + contract.Text(request.Action) + " type" + contract.Text(request.ResourceType) +
		" names" + contract.Texts(request.ResourceNames)
}

func main() {}
