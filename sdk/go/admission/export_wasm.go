package admission

import (
	"carrara.dev/policy/internal/abi"
	"carrara.dev/policy/internal/guest"
)

// evidence in memory.
const evidenceSize, evidenceAlign = 36, 4

//go:wasmexport carrara:policy/marble-admitter@1.0.0#admit
func export(request uint32) uint32 {
	r := abi.Read(request)
	return guest.Decision(answer(Request{
		Context:        guest.Context(r),
		MarbleType:     r.Text(),
		PackageName:    r.Text(),
		UUID:           r.Text(),
		Evidence:       abi.Option(r, evidenceSize, evidenceAlign, evidence),
		DNSNames:       r.Texts(),
		IPAddresses:    r.Texts(),
		Activations:    abi.Option(r, 8, 8, (*abi.Reader).U64),
		MaxActivations: abi.Option(r, 8, 8, (*abi.Reader).U64),
	}))
}

func evidence(r *abi.Reader) Evidence {
	return Evidence{
		TEE:        r.Text(),
		Debug:      r.Truth(),
		TCBStatus:  r.Text(),
		Advisories: r.Texts(),
		Identity:   guest.Facts(r),
	}
}
