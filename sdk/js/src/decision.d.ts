/** What an authorizer or an admitter answers. Made by `allow` or `deny`. */
export declare abstract class Decision {
  private constructor();
  readonly allowed: boolean;
  /** Of a denial. */
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string | null;
  readonly resources?: readonly string[];
}

/** Yes, as far as this policy is concerned; every other enforcing policy must say so too. */
export declare function allow(): Decision;

/**
 * No.
 *
 * @param code stable and short, for programs
 * @param message for people; they see it
 * @param details `hint`: what to do about it; `resources`: what it is about
 */
export declare function deny(
  code: string,
  message: string,
  details?: { hint?: string | null; resources?: Iterable<string> },
): Decision;
