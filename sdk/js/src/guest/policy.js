// What the entries of all worlds share.

import { Policy } from "../policy.js";
import { checkSettings } from "../settings.js";

const MAKERS = {
  "role-authorization": "authorizer",
  "marble-admission": "admitter",
  "manifest-validation": "validator",
};

/** The author's policy; an error while the component is built if it is none of the world. */
export function checked(policy, world) {
  if (policy instanceof Policy && policy.world === world) return policy;
  const found = policy instanceof Policy ? `a policy for ${policy.world}` : `no policy`;
  throw new TypeError(
    `the module exports ${found} by default; for the world ${world} write: export default ${MAKERS[world]}(..)`,
  );
}

export function configurationOf(policy) {
  return {
    check(settings) {
      const errors = checkSettings(policy, settings);
      // A thrown value is the error case of a WIT result.
      if (errors.length > 0) throw errors;
    },
  };
}
