"""Some actions are for office hours: ``{"actions": ["UpdateManifest"], "days": ["Mon", "Tue"], "from": 8, "to": 17}``.

``from`` and ``to`` are hours of the day, ``to`` itself is outside; ``offset`` is what local time is ahead of UTC, in minutes. No
rule of summer time. The time is the host's: see README.md for whom this binds.
"""

from typing import Any, Iterator

from carrara_policy.authorization import Decision, Request, SettingsError, allow, deny, policy, settings

DAYS = ("Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed")
"""1970-01-01 was a Thursday."""

MINUTES_OF_A_DAY = 24 * 60


@settings
def check(value: Any) -> Iterator[SettingsError]:
    """Judges the settings."""
    keys = {"days", "from", "to"}
    if not isinstance(value, dict) or not keys <= value.keys() <= keys | {"actions", "offset"}:
        yield SettingsError("Settings must have days, from and to, and may have actions and offset")
        return
    days, actions, offset = value["days"], value.get("actions", []), value.get("offset", 0)
    if not isinstance(days, list) or not all(day in DAYS for day in days):
        yield SettingsError("days must be a list of Mon, Tue, Wed, Thu, Fri, Sat, Sun")
    if not isinstance(actions, list) or not all(isinstance(action, str) for action in actions):
        yield SettingsError("actions must be a list of actions such as UpdateManifest")
    hours = (value["from"], value["to"])
    if not all(type(hour) is int for hour in hours) or not 0 <= hours[0] < hours[1] <= 24:
        yield SettingsError("from must be less than to, both hours from 0 to 24")
    if type(offset) is not int or abs(offset) >= MINUTES_OF_A_DAY:
        yield SettingsError("offset must be less than a day, in minutes")


@policy
def authorize(request: Request) -> Decision:
    """Decides a request."""
    hours = request.settings
    actions = [action.lower() for action in hours.get("actions", [])]
    concerned = not actions or request.action.lower() in actions
    if not concerned or is_open(hours, request.context.now):
        return allow()
    hint = f"{', '.join(hours['days'])} from {hours['from']} to {hours['to']} o'clock"
    return deny("office-hours", f"{request.action} is for office hours only", hint=hint)


def is_open(hours: Any, now: int) -> bool:
    day, minute = divmod(now // 60 + hours.get("offset", 0), MINUTES_OF_A_DAY)
    return DAYS[day % 7] in hours["days"] and hours["from"] <= minute // 60 < hours["to"]
