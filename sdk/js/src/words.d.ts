/** A number up to 2^53 - 1, above a bigint. See the README, "Integers". */
export type Integer = number | bigint;

/** What a fact can be. */
export type FactValue = string | Integer | boolean | Uint8Array | readonly string[];

/** A named value that the coordinator knows. */
export interface Fact {
  readonly name: string;
  readonly value: FactValue;
}

/** What every question carries. */
export interface Context {
  /** The policy entry's `Settings`, as `JSON.parse` gives them; `null` where absent. */
  readonly settings: any;
  /** The same as JSON text. */
  readonly settingsText: string;
  /** Unix seconds by the host's clock. The host of an enclave can shift that clock. */
  readonly now: number;
  /** The revision of the state that the question is asked about. */
  readonly revision: number;
  readonly facts: readonly Fact[];
  /** The value of the first fact of this name, `undefined` where there is none. */
  fact(name: string): FactValue | undefined;
}

/** What requests and proposals have in common. */
export interface Question {
  readonly context: Context;
  /** Short for `context.settings`. */
  readonly settings: any;
  /** Short for `context.fact(name)`, such as `fact("secret-last-set:token")`. */
  fact(name: string): FactValue | undefined;
}

/** A role of the manifest that a principal holds. */
export interface Role {
  readonly name: string;
  /** `Packages`, `Secrets` or `Manifest`. */
  readonly resourceType: string;
  readonly resourceNames: readonly string[];
  readonly actions: readonly string[];
}

/** A user of the manifest, authenticated by the client certificate. */
export interface Principal {
  readonly name: string;
  /** 32 bytes. */
  readonly certificateSha256: Uint8Array;
  readonly roles: readonly Role[];
}

/** Writes lines to the coordinator's log; bounded in number and length, never shown to the caller. */
export interface Log {
  debug(message: unknown): void;
  info(message: unknown): void;
  warn(message: unknown): void;
}
