// The contract policy of the world marble-admission.
package main

import (
	"fmt"

	"carrara.dev/contract"
	"carrara.dev/policy"
	"carrara.dev/policy/admission"
)

func init() { admission.Admit(admit, policy.CheckSettings(contract.Check)) }

func admit(request admission.Request) policy.Decision {
	return contract.Decide(request.Context, func() policy.Decision {
		return policy.Deny("echo", echo(request)).WithHint("hint").About(request.DNSNames...)
	})
}

func echo(request admission.Request) string {
	return fmt.Sprintf("%s marble%s package%s uuid%s evidence %s dns%s ip%s activations %s max %s",
		contract.Context(request.Context), contract.Text(request.MarbleType), contract.Text(request.PackageName),
		contract.Text(request.UUID), contract.Option(request.Evidence, evidence), contract.Texts(request.DNSNames),
		contract.Texts(request.IPAddresses), contract.Option(request.Activations, contract.Number),
		contract.Option(request.MaxActivations, contract.Number))
}

func evidence(evidence admission.Evidence) string {
	return fmt.Sprintf("%s debug %t %s %s %s", contract.Text(evidence.TEE), evidence.Debug,
		contract.Text(evidence.TCBStatus), contract.Texts(evidence.Advisories), contract.Facts(evidence.Identity))
}

func main() {}
