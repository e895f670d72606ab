// Asked when a manifest is set or updated: is it acceptable?

import { error, pointer, validator } from "@carrara/policy/validation";

// No package may allow debug mode.
export default validator((proposal) => {
  const packages: [string, any][] = Object.entries(proposal.manifest.Packages ?? {});
  const debug = packages.filter(([, found]) => found.Debug === true);
  return debug.map(([name]) => {
    const path = pointer("Packages", name, "Debug");
    // edit here: what the user reads
    return error("debug-package", path, "packages in debug mode are not allowed");
  });
});
