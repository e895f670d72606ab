// Asked when a Marble's evidence has been verified and matched: may it be activated?

import { admitter, allow, deny } from "@carrara/policy/admission";

// No enclave in debug mode.
export default admitter((request) => {
  if (!request.evidence?.debug) {
    return allow();
  }
  // edit here: what the log says
  return deny("debug-enclave", "an enclave in debug mode shows its memory to its host");
});
