// Package validation is the world manifest-validation: is this manifest acceptable? Asked when a manifest is set or updated,
// and by the CLI offline.
package validation

import (
	"strings"

	"carrara.dev/policy"
	"carrara.dev/policy/internal/guest"
)

// A PackageVersion is a package's security version in force.
type PackageVersion struct {
	// Name is the package's.
	Name string
	// SecurityVersion is after package updates.
	SecurityVersion uint64
}

// A Proposal is a manifest that somebody wants to set.
type Proposal struct {
	// Context holds time, revision, settings, facts.
	Context policy.Context
	// Change is initial, reset, package-update or full-update.
	Change string
	// Manifest is normalised JSON: canonical field names, no duplicates.
	Manifest string
	// ManifestSHA256 is the digest of the uploaded bytes.
	ManifestSHA256 []byte
	// Current is the manifest in force, normalised; nil at the first one.
	Current *string
	// CurrentVersions are security versions in force.
	CurrentVersions []PackageVersion
	// Proposer is the user who proposes it, where one does.
	Proposer *policy.Principal
}

// A Severity tells whether a finding refuses the manifest.
type Severity uint8

// Errors refuse the manifest, warnings are reported.
const (
	SeverityError Severity = iota
	SeverityWarning
)

// A Finding is something about a manifest that somebody should know.
type Finding struct {
	// Severity tells whether it refuses the manifest.
	Severity Severity
	// Code is the rule's id: stable and short.
	Code string
	// Path is a pointer (RFC 6901) into the manifest; the coordinator shows the line of the upload for it.
	Path string
	// Message is for people.
	Message string
	// Hint is what to do; none where empty.
	Hint string
}

// Error is a finding that refuses the manifest.
func Error(code, path, message string) Finding {
	return Finding{Severity: SeverityError, Code: code, Path: path, Message: message}
}

// Warning is a finding that is reported and refuses nothing.
func Warning(code, path, message string) Finding {
	return Finding{Severity: SeverityWarning, Code: code, Path: path, Message: message}
}

// WithHint adds what to do about it.
func (f Finding) WithHint(hint string) Finding {
	f.Hint = hint
	return f
}

// Failed refuses the manifest because of an error inside the policy: its text goes to the coordinator's log, not to the caller.
func Failed(err error) []Finding {
	policy.LogFailure(err)
	return refused()
}

// Escape makes a key a part of a finding's path (RFC 6901, section 3).
func Escape(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

var validate = func(Proposal) []Finding {
	return []Finding{Error("no-policy", "", "the program gave validation.Validate no function from init")}
}

// Validate makes a function the program's policy. Call it from init.
func Validate(judge func(Proposal) []Finding, options ...policy.Option) {
	validate = judge
	guest.Configure(options)
}

// answer asks the policy; a panic refuses.
func answer(proposal Proposal) (findings []Finding) {
	defer guest.Recover(func(error) { findings = refused() })
	return validate(proposal)
}

func refused() []Finding {
	return []Finding{Error(policy.PolicyError, "", policy.PolicyErrorMessage).WithHint(policy.PolicyErrorHint)}
}
