/** What is wrong with a policy entry's `Settings`. A check returns or throws it. */
export declare class SettingsError extends Error {
  constructor(message: string, place?: { line?: number; column?: number; hint?: string | null });
  readonly line: number;
  readonly column: number;
  readonly hint: string | null;
}

/** Line and column count from 1 in the settings' text (in the decoded text where they are a string); 1 where left out. */
export declare function settingsError(
  message: string,
  place?: { line?: number; column?: number; hint?: string | null },
): SettingsError;

/** Judges settings when a manifest is set: nothing (or no errors) accepts them. */
export type Check = (settings: any) => void | null | SettingsError | Iterable<SettingsError>;
