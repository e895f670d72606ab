import type { Decision } from "./decision.js";
import type { Policy } from "./policy.js";
import type { Check } from "./settings.js";
import type { Log, Principal, Question } from "./words.js";

export { Decision, allow, deny } from "./decision.js";
export { SettingsError, settingsError } from "./settings.js";
export type { Policy } from "./policy.js";
export type { Check } from "./settings.js";
export type { Context, Fact, FactValue, Integer, Principal, Role } from "./words.js";
export declare const log: Log;

/** May this user do this? */
export interface Request extends Question {
  readonly principal: Principal;
  /** Such as `ReadSecret`, `WriteSecret`, `UpdateManifest`. */
  readonly action: string;
  readonly resourceType: string;
  /** All names of one call, sorted, without duplicates. */
  readonly resourceNames: readonly string[];
}

/** Makes a policy for the world `role-authorization`; the module exports it by default. */
export declare function authorizer(authorize: (request: Request) => Decision, check?: Check): Policy<Request, Decision>;
