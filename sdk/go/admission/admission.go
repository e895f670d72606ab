// Package admission is the world marble-admission: may this Marble be activated? Asked when its evidence has been verified
// and matched.
package admission

import (
	"carrara.dev/policy"
	"carrara.dev/policy/internal/guest"
)

// Evidence holds verified claims about the Marble's enclave.
type Evidence struct {
	// TEE is sgx, tdx or sev-snp.
	TEE string
	// Debug is debug mode.
	Debug bool
	// TCBStatus is such as UpToDate or SWHardeningNeeded.
	TCBStatus string
	// Advisories are ids.
	Advisories []string
	// Identity is what was measured. sgx: unique-id, signer-id, product-id, security-version; tdx: mrtd, rtmr0..rtmr3.
	Identity []policy.Fact
}

// A Request is a Marble that wants to be activated.
type Request struct {
	// Context holds time, revision, settings, facts.
	Context policy.Context
	// MarbleType is the type in the manifest.
	MarbleType string
	// PackageName is the package that its evidence matched.
	PackageName string
	// UUID is the canonical text.
	UUID string
	// Evidence is nil in simulation, and only then.
	Evidence *Evidence
	// DNSNames are those that it wants certified.
	DNSNames []string
	// IPAddresses are those that it wants certified.
	IPAddresses []string
	// Activations of this type before this one; nil where they are not counted.
	Activations *uint64
	// MaxActivations is the manifest's limit.
	MaxActivations *uint64
}

var admit = func(Request) policy.Decision {
	return policy.Deny("no-policy", "the program gave admission.Admit no function from init")
}

// Admit makes a function the program's policy. Call it from init.
func Admit(decide func(Request) policy.Decision, options ...policy.Option) {
	admit = decide
	guest.Configure(options)
}

// answer asks the policy; a panic denies.
func answer(request Request) (decision policy.Decision) {
	defer guest.Recover(func(error) { decision = guest.Denied() })
	return admit(request)
}
