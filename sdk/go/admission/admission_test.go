package admission

import (
	"fmt"
	"testing"

	"carrara.dev/policy"
	"carrara.dev/policy/policytest"
)

// settings are what the manifest's entry says.
type settings struct {
	// AtMost is how often a Marble of one type may be started.
	AtMost uint64
}

// No enclave in debug mode, and not too many of them.
func few(request Request) policy.Decision {
	settings, err := policy.SettingsOf[settings](request.Context)
	if err != nil {
		return policy.Failed(err)
	}
	if request.Evidence != nil && request.Evidence.Debug {
		return policy.Deny("debug", "an enclave in debug mode shows its memory to its host")
	}
	if request.Activations != nil && *request.Activations >= settings.AtMost {
		return policy.Deny("too-many", fmt.Sprintf("%s runs %d times already", request.MarbleType, *request.Activations))
	}
	return policy.Allow()
}

// One complete policy: with `func main() {}` this is a program.
func ExampleAdmit() {
	Admit(few, policy.SettingsAre[settings]()) // from init

	// Natively, in the policy's tests:
	before := uint64(1)
	request := Request{MarbleType: "frontend", Activations: &before}
	request.Context.Settings = `{"AtMost": 1}`
	denial, _ := few(request).Denial()
	fmt.Println(denial.Code, denial.Message)
	// Output: too-many frontend runs 1 times already
}

func TestAPanicDenies(t *testing.T) {
	Admit(func(request Request) policy.Decision { return policy.Deny(request.Evidence.TEE, "") })
	var decision policy.Decision
	lines := policytest.Logged(func() { decision = answer(Request{}) })
	if denial, denied := decision.Denial(); !denied || denial.Code != policy.PolicyError || len(lines) != 1 {
		t.Fatal(denial, lines)
	}
}
