// No package of a manifest may be debuggable, but those that the settings allow: {"allow": ["dev"]}.
//
// The host of an enclave in debug mode reads its memory, secrets included.

import { type SettingsError, error, pointer, settingsError, validator } from "@carrara/policy/validation";

/** Judges a manifest. */
export default validator(({ settings, manifest }) => {
  const allowed: string[] = settings?.allow ?? [];
  const packages: [string, any][] = Object.entries(manifest.Packages ?? {});
  const refused = packages.filter(([name, found]) => found.Debug && !allowed.includes(name));
  const hint = "build it without debug mode and remove Debug";
  return refused.map(([name]) =>
    error("no-debug-packages", pointer("Packages", name, "Debug"), `package ${name} may not be debuggable`, { hint }),
  );
}, check);

/** Judges the settings. */
function check(settings: any): SettingsError[] {
  if (settings === null) return [];
  const { allow = [], ...unknown } = Object(settings);
  const isObject = settings instanceof Object && !Array.isArray(settings);
  const isList = Array.isArray(allow) && allow.every((name) => typeof name === "string");
  if (isObject && isList && Object.keys(unknown).length === 0) return [];
  return [settingsError("Settings must be packages that may be debuggable", { hint: 'write {"allow": ["dev"]}' })];
}
