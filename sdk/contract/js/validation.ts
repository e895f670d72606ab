// The contract policy for manifest-validation. See ../README.md.

import {
  type Finding, type PackageVersion, type Proposal, error, pointer, validator, warning,
} from "@carrara/policy/validation";
import * as contract from "./contract.ts";

function version(it: PackageVersion): string {
  return `${contract.text(it.name)} ${it.securityVersion}`;
}

function echo(proposal: Proposal): string {
  return (
    `${contract.context(proposal.context)} change${contract.text(proposal.change)} ` +
    `manifest${contract.text(proposal.manifestText)} sha256 ${contract.hex(proposal.manifestSha256)} ` +
    `current ${contract.optional(contract.text, proposal.currentText)} ` +
    `versions${contract.listed(version, proposal.currentVersions)} ` +
    `proposer ${contract.optional(contract.principal, proposal.proposer)}`
  );
}

export default validator((proposal): Finding[] => {
  switch (contract.word(proposal.settings)) {
    case "echo":
      return [warning("echo", "/echo", echo(proposal), { hint: "hint" })];
    case "plain":
      return [error("plain", "", "plain")];
    case "several":
      return [
        error("E-1", pointer("Packages", "a/b"), "first", { hint: "do this" }),
        warning("W-1", "/Marbles", "second"),
        error("E-2", "", "third ✓"),
      ];
    case "facts":
      return [error("facts", "", contract.lookedUp(proposal))];
    case "count":
      return [error("count", "", contract.count())];
    case "log":
      contract.writeLog();
      return [];
    case "allow":
      return [];
    default:
      return contract.fail();
  }
}, contract.check);
