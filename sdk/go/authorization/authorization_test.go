package authorization

import (
	"fmt"
	"testing"

	"carrara.dev/policy"
	"carrara.dev/policy/policytest"
)

// Nobody reads a secret whose name begins with root-, whatever the roles say.
func rootSecrets(request Request) policy.Decision {
	for _, name := range request.ResourceNames {
		if request.Action == "ReadSecret" && len(name) > 5 && name[:5] == "root-" {
			return policy.Deny("root-secret", "root secrets are read by no user").
				WithHint("ask for a secret of your own").About(name)
		}
	}
	return policy.Allow()
}

// One complete policy: with `func main() {}` this is a program.
func ExampleAuthorize() {
	Authorize(rootSecrets) // from init

	// Natively, in the policy's tests:
	request := Request{Action: "ReadSecret", ResourceType: "Secrets", ResourceNames: []string{"root-key", "token"}}
	denial, _ := rootSecrets(request).Denial()
	fmt.Println(denial.Message, denial.Resources)
	// Output: root secrets are read by no user [root-key]
}

func TestAPanicDenies(t *testing.T) {
	Authorize(func(request Request) policy.Decision { panic(request.ResourceNames[5:]) })
	var decision policy.Decision
	lines := policytest.Logged(func() { decision = answer(Request{}) })
	if denial, denied := decision.Denial(); !denied || denial.Code != policy.PolicyError || len(lines) != 1 {
		t.Fatal(denial, lines)
	}
}
