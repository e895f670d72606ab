// The contract policy for marble-admission. See ../README.md.

import { type Decision, type Evidence, type Request, admitter, allow, deny } from "@carrara/policy/admission";
import * as contract from "./contract.ts";

function evidence(it: Evidence): string {
  return (
    `${contract.text(it.tee)} debug ${it.debug} ${contract.text(it.tcbStatus)} ${contract.texts(it.advisories)} ` +
    contract.listed(contract.fact, it.identity)
  );
}

function echo(request: Request): string {
  return (
    `${contract.context(request.context)} marble${contract.text(request.marbleType)} ` +
    `package${contract.text(request.packageName)} uuid${contract.text(request.uuid)} ` +
    `evidence ${contract.optional(evidence, request.evidence)} dns${contract.texts(request.dnsNames)} ` +
    `ip${contract.texts(request.ipAddresses)} activations ${contract.optional(String, request.activations)} ` +
    `max ${contract.optional(String, request.maxActivations)}`
  );
}

export default admitter((request): Decision => {
  const word = contract.word(request.settings);
  if (word === "echo") return deny("echo", echo(request), { hint: "hint", resources: request.dnsNames });
  if (word === "plain" || word === "several") return deny("plain", "plain");
  if (word === "facts") return deny("facts", contract.lookedUp(request));
  if (word === "count") return deny("count", contract.count());
  if (word === "log") contract.writeLog();
  else if (word !== "allow") contract.fail();
  return allow();
}, contract.check);
