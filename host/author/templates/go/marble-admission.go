// Asked when a Marble's evidence has been verified and matched: may it be activated?
package main

import (
	"carrara.dev/policy"
	"carrara.dev/policy/admission"
)

func init() { admission.Admit(admit) }

// admit lets no enclave in that is in debug mode.
func admit(request admission.Request) policy.Decision {
	if request.Evidence == nil || !request.Evidence.Debug {
		return policy.Allow()
	}
	// edit here: what the log says
	return policy.Deny("debug-enclave", "an enclave in debug mode shows its memory to its host")
}

func main() {}
