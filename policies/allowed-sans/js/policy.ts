// Which DNS names and IP addresses a Marble may have certified: {"web": ["*.example.org", "10.0.0.7"], "*": []}.
//
// The keys are Marble types; `*` is for those that have no key, and without it they may have no names. `*.example.org`
// allows every name that ends with `.example.org`, whatever stands before.

import { type SettingsError, admitter, allow, deny, settingsError } from "@carrara/policy/admission";

/** Decides whether a Marble may start. */
export default admitter(({ settings, marbleType, dnsNames, ipAddresses }) => {
  const lists: Record<string, string[]> = settings ?? {};
  const allowed = (Object.hasOwn(lists, marbleType) ? lists[marbleType] : lists["*"]) ?? [];
  const names = [...dnsNames, ...ipAddresses];
  const refused = names.filter((name) => !allowed.some((pattern) => matches(pattern, name)));
  if (refused.length === 0) return allow();
  const message = `${marbleType} may not be certified for ${refused.join(", ")}`;
  return deny("allowed-sans", message, { resources: refused });
}, check);

/** DNS names do not tell upper from lower case (RFC 4343). */
function matches(pattern: string, name: string): boolean {
  const [wanted, found] = [lower(pattern), lower(name)];
  if (!wanted.startsWith("*.")) return wanted === found;
  return found.endsWith(wanted.slice(1)) && found.length >= wanted.length;
}

/** Of ASCII's letters only: there are others whose lower case is one of them. */
function lower(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Judges the settings. */
function* check(settings: any): Iterable<SettingsError> {
  if (settings !== null && (!(settings instanceof Object) || Array.isArray(settings))) {
    const hint = 'write {"web": ["*.example.org"]}';
    yield settingsError("Settings must be lists of names by Marble type", { hint });
    return;
  }
  for (const [marble, names] of Object.entries(settings ?? {})) {
    if (!Array.isArray(names) || !names.every((name) => typeof name === "string")) {
      yield settingsError(`${marble} must be a list of names`);
    }
  }
}
