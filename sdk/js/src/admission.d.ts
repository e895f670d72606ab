import type { Decision } from "./decision.js";
import type { Policy } from "./policy.js";
import type { Check } from "./settings.js";
import type { Fact, FactValue, Integer, Log, Question } from "./words.js";

export { Decision, allow, deny } from "./decision.js";
export { SettingsError, settingsError } from "./settings.js";
export type { Policy } from "./policy.js";
export type { Check } from "./settings.js";
export type { Context, Fact, FactValue, Integer } from "./words.js";
export declare const log: Log;

/** What was verified about a Marble's enclave. */
export interface Evidence {
  /** `sgx`, `tdx` or `sev-snp`. */
  readonly tee: string;
  readonly debug: boolean;
  readonly tcbStatus: string;
  readonly advisories: readonly string[];
  /** sgx: unique-id, signer-id, product-id, security-version; tdx: mrtd, rtmr0..3; ... */
  readonly identity: readonly Fact[];
  /** The value of the first fact of the identity with this name. */
  fact(name: string): FactValue | undefined;
}

/** May this Marble be activated? Its evidence has been verified and fits the manifest. */
export interface Request extends Question {
  readonly marbleType: string;
  readonly packageName: string;
  readonly uuid: string;
  /** `null` in simulation, and only then. */
  readonly evidence: Evidence | null;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  /** Before this one; `null` where activations are not counted. */
  readonly activations: Integer | null;
  readonly maxActivations: Integer | null;
}

/** Makes a policy for the world `marble-admission`; the module exports it by default. */
export declare function admitter(admit: (request: Request) => Decision, check?: Check): Policy<Request, Decision>;
