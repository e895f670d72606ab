// Asked on each request that needs a user: may this user do this?
package main

import (
	"strings"

	"carrara.dev/policy"
	"carrara.dev/policy/authorization"
)

func init() { authorization.Authorize(authorize) }

// authorize lets no user write secrets of production.
func authorize(request authorization.Request) policy.Decision {
	var names []string
	for _, name := range request.ResourceNames {
		if strings.HasPrefix(name, "prod-") {
			names = append(names, name)
		}
	}
	if request.Action != "WriteSecret" || len(names) == 0 {
		return policy.Allow()
	}
	// edit here: what the user reads
	return policy.Deny("prod-secret", "secrets of production are written by nobody").About(names...)
}

func main() {}
