import type { Policy } from "./policy.js";
import type { Check } from "./settings.js";
import type { Integer, Log, Principal, Question } from "./words.js";

export { SettingsError, settingsError } from "./settings.js";
export type { Policy } from "./policy.js";
export type { Check } from "./settings.js";
export type { Context, Fact, FactValue, Integer, Principal, Role } from "./words.js";
export declare const log: Log;

/** A package's security version in force. */
export interface PackageVersion {
  readonly name: string;
  readonly securityVersion: Integer;
}

/** Is this manifest acceptable? */
export interface Proposal extends Question {
  /** `initial`, `reset`, `package-update` or `full-update`. */
  readonly change: string;
  /** As `JSON.parse` gives it: canonical field names, no duplicates. Its numbers above 2^53 - 1 are rounded. */
  readonly manifest: any;
  readonly manifestText: string;
  /** Of the uploaded bytes. */
  readonly manifestSha256: Uint8Array;
  /** The manifest in force; `null` at the first one. */
  readonly current: any;
  readonly currentText: string | null;
  /** In force, after package updates. */
  readonly currentVersions: readonly PackageVersion[];
  readonly proposer: Principal | null;
}

/** One thing that a validator found. Made by `error` or `warning`. */
export declare class Finding {
  private constructor();
  readonly severity: "error" | "warning";
  readonly code: string;
  /** RFC 6901 pointer into the manifest; see `pointer`. */
  readonly path: string;
  readonly message: string;
  readonly hint: string | null;
}

/** Refuses the manifest. */
export declare function error(code: string, path: string, message: string, details?: { hint?: string | null }): Finding;

/** Is reported. */
export declare function warning(
  code: string,
  path: string,
  message: string,
  details?: { hint?: string | null },
): Finding;

/** The RFC 6901 pointer that leads through these keys: `pointer("Packages", "a/b")` is `/Packages/a~1b`. */
export declare function pointer(...keys: (string | number)[]): string;

/** Makes a policy for the world `manifest-validation` of a function or a generator; the module exports it by default. */
export declare function validator(
  validate: (proposal: Proposal) => Iterable<Finding> | void | null,
  check?: Check,
): Policy<Proposal, Iterable<Finding> | void | null>;
