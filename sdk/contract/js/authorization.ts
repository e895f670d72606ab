// The contract policy for role-authorization. See ../README.md.

import { type Decision, type Request, allow, authorizer, deny } from "@carrara/policy/authorization";
import * as contract from "./contract.ts";

function echo(request: Request): string {
  return (
    `${contract.context(request.context)} principal ${contract.principal(request.principal)} ` +
    `action${contract.text(request.action)} type${contract.text(request.resourceType)} ` +
    `names${contract.texts(request.resourceNames)}`
  );
}

export default authorizer((request): Decision => {
  const word = contract.word(request.settings);
  if (word === "echo") return deny("echo", echo(request), { hint: "hint", resources: request.resourceNames });
  if (word === "plain" || word === "several") return deny("plain", "plain");
  if (word === "facts") return deny("facts", contract.lookedUp(request));
  if (word === "count") return deny("count", contract.count());
  if (word === "log") contract.writeLog();
  else if (word !== "allow") contract.fail();
  return allow();
}, contract.check);
