// No package of a manifest may be debuggable, but those that the settings allow: {"allow": ["dev"]}.
//
// The host of an enclave in debug mode reads its memory, secrets included.
package main

import (
	"encoding/json"
	"maps"
	"slices"

	"carrara.dev/policy"
	"carrara.dev/policy/validation"
)

func init() { validation.Validate(validate, policy.SettingsAre[settings]()) }

type settings struct {
	// Allow holds the packages that may be debuggable.
	Allow []string `json:"allow"`
}

// What the policy reads of a manifest.
type manifest struct {
	Packages map[string]struct{ Debug bool }
}

// validate judges a manifest.
func validate(proposal validation.Proposal) []validation.Finding {
	settings, err := policy.SettingsOf[settings](proposal.Context)
	if err != nil {
		return validation.Failed(err)
	}
	var proposed manifest
	if err := json.Unmarshal([]byte(proposal.Manifest), &proposed); err != nil {
		return validation.Failed(err)
	}
	var findings []validation.Finding
	for _, name := range slices.Sorted(maps.Keys(proposed.Packages)) {
		if proposed.Packages[name].Debug && !slices.Contains(settings.Allow, name) {
			path := "/Packages/" + validation.Escape(name) + "/Debug"
			finding := validation.Error("no-debug-packages", path, "package "+name+" may not be debuggable")
			findings = append(findings, finding.WithHint("build it without debug mode and remove Debug"))
		}
	}
	return findings
}

func main() {}
