package validation

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"carrara.dev/policy/policytest"
)

// A package whose security version falls is refused, one whose version leaps is reported.
func noDowngrade(proposal Proposal) (findings []Finding) {
	var manifest struct {
		Packages map[string]struct{ SecurityVersion *uint64 }
	}
	if err := json.Unmarshal([]byte(proposal.Manifest), &manifest); err != nil {
		return Failed(err)
	}
	for _, current := range proposal.CurrentVersions {
		proposed := manifest.Packages[current.Name].SecurityVersion
		path := "/Packages/" + Escape(current.Name) + "/SecurityVersion"
		switch {
		case proposed == nil:
		case *proposed < current.SecurityVersion:
			message := fmt.Sprintf("%d is in force", current.SecurityVersion)
			findings = append(findings, Error("no-downgrade", path, message).WithHint("keep the version or raise it"))
		case *proposed > current.SecurityVersion+1:
			findings = append(findings, Warning("leap", path, "the version leaps"))
		}
	}
	return findings
}

// One complete policy: with `func main() {}` this is a program.
func ExampleValidate() {
	Validate(noDowngrade) // from init

	// Natively, in the policy's tests:
	findings := noDowngrade(Proposal{
		Manifest:        `{"Packages": {"a/b": {"SecurityVersion": 1}}}`,
		CurrentVersions: []PackageVersion{{Name: "a/b", SecurityVersion: 2}},
	})
	fmt.Println(findings[0].Path, findings[0].Message)
	// Output: /Packages/a~1b/SecurityVersion 2 is in force
}

func TestAnErrorAndAPanicRefuse(t *testing.T) {
	for _, policy := range []func(Proposal) []Finding{
		func(Proposal) []Finding { return Failed(errors.New("inner")) },
		func(Proposal) []Finding { panic("inner") },
	} {
		Validate(policy)
		var findings []Finding
		lines := policytest.Logged(func() { findings = answer(Proposal{}) })
		if len(findings) != 1 || findings[0].Code != "policy-error" || findings[0].Severity != SeverityError || len(lines) != 1 {
			t.Fatal(findings, lines)
		}
	}
}
