// Some actions are for office hours: {"actions": ["UpdateManifest"], "days": ["Mon", "Tue"], "from": 8, "to": 17}.
//
// `from` and `to` are hours of the day, `to` itself is outside; `offset` is what local time is ahead of UTC, in minutes. No
// rule of summer time. The time is the host's: see README.md for whom this binds.

import { type SettingsError, allow, authorizer, deny, settingsError } from "@carrara/policy/authorization";

/** 1970-01-01 was a Thursday. */
const DAYS = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

const MINUTES_OF_A_DAY = 24 * 60;

interface Hours {
  actions?: string[];
  days: string[];
  from: number;
  to: number;
  offset?: number;
}

/** Decides a request. */
export default authorizer((request) => {
  const hours: Hours = request.settings;
  const actions = (hours.actions ?? []).map((action) => action.toLowerCase());
  const concerned = actions.length === 0 || actions.includes(request.action.toLowerCase());
  if (!concerned || isOpen(hours, request.context.now)) return allow();
  const hint = `${hours.days.join(", ")} from ${hours.from} to ${hours.to} o'clock`;
  return deny("office-hours", `${request.action} is for office hours only`, { hint });
}, check);

function isOpen({ days, from, to, offset = 0 }: Hours, now: number): boolean {
  // A week more: no number is negative.
  const minutes = Math.floor(now / 60) + offset + 7 * MINUTES_OF_A_DAY;
  const day = Math.floor(minutes / MINUTES_OF_A_DAY) % 7;
  const hour = Math.floor((minutes % MINUTES_OF_A_DAY) / 60);
  return days.includes(DAYS[day]!) && from <= hour && hour < to;
}

/** Judges the settings. */
function* check(settings: any): Iterable<SettingsError> {
  const { days, from, to, actions = [], offset = 0, ...unknown } = Object(settings);
  for (const key of Object.keys(unknown)) yield settingsError(`there is no setting ${key}`);
  if (!Array.isArray(days) || !days.every((day) => DAYS.includes(day))) {
    yield settingsError("days must be a list of Mon, Tue, Wed, Thu, Fri, Sat, Sun");
  }
  if (!Array.isArray(actions) || !actions.every((action) => typeof action === "string")) {
    yield settingsError("actions must be a list of actions such as UpdateManifest");
  }
  if (![from, to].every(Number.isInteger) || !(0 <= from && from < to && to <= 24)) {
    yield settingsError("from must be less than to, both hours from 0 to 24");
  }
  if (!Number.isInteger(offset) || Math.abs(offset) >= MINUTES_OF_A_DAY) {
    yield settingsError("offset must be less than a day, in minutes");
  }
}
