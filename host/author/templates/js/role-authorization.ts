// Asked on each request that needs a user: may this user do this?

import { allow, authorizer, deny } from "@carrara/policy/authorization";

// Secrets of production are not written by users.
export default authorizer((request) => {
  const names = request.resourceNames.filter((name) => name.startsWith("prod-"));
  if (request.action !== "WriteSecret" || names.length === 0) {
    return allow();
  }
  // edit here: what the user reads
  return deny("prod-secret", "secrets of production are written by nobody", { resources: names });
});
