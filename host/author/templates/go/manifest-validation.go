// Asked when a manifest is set or updated: is it acceptable?
package main

import (
	"encoding/json"
	"sort"

	"carrara.dev/policy/validation"
)

func init() { validation.Validate(validate) }

// What the policy reads of a manifest.
type manifest struct {
	Packages map[string]struct{ Debug bool }
}

// validate lets no package allow debug mode.
func validate(proposal validation.Proposal) []validation.Finding {
	var read manifest
	if err := json.Unmarshal([]byte(proposal.Manifest), &read); err != nil {
		return validation.Failed(err)
	}
	var findings []validation.Finding
	for name, found := range read.Packages {
		if found.Debug {
			path := "/Packages/" + validation.Escape(name) + "/Debug"
			// edit here: what the user reads
			findings = append(findings, validation.Error("debug-package", path, "packages in debug mode are not allowed"))
		}
	}
	// The same answer each time: maps have no order.
	sort.Slice(findings, func(a, b int) bool { return findings[a].Path < findings[b].Path })
	return findings
}

func main() {}
