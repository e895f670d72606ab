import type { Decision } from "./decision.js";
import type { Policy } from "./policy.js";
import type { Request as AdmissionRequest } from "./admission.js";
import type { Request as AuthorizationRequest } from "./authorization.js";
import type { Finding, Proposal } from "./validation.js";
import type { FactValue, Integer, Role } from "./words.js";

/** What is left out has its default: empty, 0, null. Unknown fields are errors. */
export interface ContextFields {
  settings?: unknown;
  now?: Integer;
  revision?: Integer;
  facts?: Record<string, FactValue>;
}

export interface PrincipalFields {
  name?: string;
  certificateSha256?: Uint8Array;
  roles?: Partial<Role>[];
}

export interface AuthorizationFields extends ContextFields {
  principal?: PrincipalFields;
  action?: string;
  resourceType?: string;
  resourceNames?: string[];
}

export interface AdmissionFields extends ContextFields {
  marbleType?: string;
  packageName?: string;
  uuid?: string;
  /** Left-out fields: sgx, not debug, UpToDate, nothing. */
  evidence?: {
    tee?: string;
    debug?: boolean;
    tcbStatus?: string;
    advisories?: string[];
    identity?: Record<string, FactValue>;
  } | null;
  dnsNames?: string[];
  ipAddresses?: string[];
  activations?: Integer | null;
  maxActivations?: Integer | null;
}

export interface ProposalFields extends ContextFields {
  change?: "initial" | "reset" | "package-update" | "full-update";
  /** A value, or a text that is passed as it is. */
  manifest?: unknown;
  manifestSha256?: Uint8Array;
  current?: unknown;
  currentVersions?: Record<string, Integer>;
  proposer?: PrincipalFields | null;
}

/** A decision, and the lines that were written to the log: `level: text`. */
export interface Decided {
  allowed: boolean;
  code?: string;
  message?: string;
  hint?: string | null;
  resources?: string[];
  log: string[];
}

export interface Found {
  findings: { severity: "error" | "warning"; code: string; path: string; message: string; hint: string | null }[];
  log: string[];
}

/** Asks a policy natively, on the way that a component takes: an error that it throws is a denial here too. */
export declare function ask(policy: Policy<AuthorizationRequest, Decision>, question?: AuthorizationFields): Decided;
export declare function ask(policy: Policy<AdmissionRequest, Decision>, question?: AdmissionFields): Decided;
export declare function ask(policy: Policy<Proposal, Iterable<Finding> | void | null>, question?: ProposalFields): Found;

/** Asks a policy's check of settings: its errors, none if they are accepted. */
export declare function check(
  policy: Policy<any, any>,
  settings: unknown,
): { errors: { line: number; column: number; message: string; hint: string | null }[]; log: string[] };

/** The policy that a module exports by default. TypeScript is bundled first, so that every Node.js can run it. */
export declare function load(module: string | URL): Promise<any>;
