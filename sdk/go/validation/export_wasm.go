package validation

import (
	"carrara.dev/policy/internal/abi"
	"carrara.dev/policy/internal/guest"
)

// Records in memory.
const versionSize, findingSize = 16, 40

//go:wasmexport carrara:policy/manifest-validator@1.0.0#validate
func export(proposal uint32) uint32 {
	r := abi.Read(proposal)
	findings := answer(Proposal{
		Context:        guest.Context(r),
		Change:         r.Text(),
		Manifest:       r.Text(),
		ManifestSHA256: r.Bytes(),
		Current:        abi.Option(r, 8, 4, (*abi.Reader).Text),
		CurrentVersions: abi.List(r, versionSize, func(r *abi.Reader) PackageVersion {
			return PackageVersion{Name: r.Text(), SecurityVersion: r.U64()}
		}),
		Proposer: abi.Option(r, guest.PrincipalSize, 4, guest.Principal),
	})
	address := abi.Allocate(8)
	abi.WriteList(abi.Write(address), findingSize, findings, func(w *abi.Writer, finding Finding) {
		w.Byte(uint8(finding.Severity))
		w.Text(finding.Code)
		w.Text(finding.Path)
		w.Text(finding.Message)
		w.Hint(finding.Hint)
	})
	return address
}
