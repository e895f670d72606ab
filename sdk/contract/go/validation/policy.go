// The contract policy of the world manifest-validation.
package main

import (
	"fmt"

	"carrara.dev/contract"
	"carrara.dev/policy"
	"carrara.dev/policy/validation"
)

func init() { validation.Validate(validate, policy.CheckSettings(contract.Check)) }

func validate(proposal validation.Proposal) []validation.Finding {
	switch contract.Word(proposal.Context) {
	case "echo":
		return []validation.Finding{validation.Warning("echo", "/echo", echo(proposal)).WithHint("hint")}
	case "plain":
		return []validation.Finding{validation.Error("plain", "", "plain")}
	case "several":
		return []validation.Finding{
			validation.Error("E-1", "/Packages/"+validation.Escape("a/b"), "first").WithHint("do this"),
			validation.Warning("W-1", "/Marbles", "second"),
			validation.Error("E-2", "", "third ✓"),
		}
	case "facts":
		return []validation.Finding{validation.Error("facts", "", contract.FactText(proposal.Context))}
	case "log":
		contract.Log()
	case "count":
		return []validation.Finding{validation.Error("count", "", fmt.Sprint(contract.Count()))}
	case "fail":
		panic(contract.ErrBroke)
	case "error":
		return validation.Failed(contract.ErrBroke)
	}
	return nil
}

func echo(proposal validation.Proposal) string {
	return fmt.Sprintf("%s change%s manifest%s sha256 %s current %s versions%s proposer %s",
		contract.Context(proposal.Context), contract.Text(proposal.Change), contract.Text(proposal.Manifest),
		contract.Hex(proposal.ManifestSHA256), contract.Option(proposal.Current, contract.Text),
		contract.List(proposal.CurrentVersions, func(version validation.PackageVersion) string {
			return fmt.Sprintf("%s %d", contract.Text(version.Name), version.SecurityVersion)
		}), contract.Option(proposal.Proposer, contract.Principal))
}

func main() {}
