"""What the contract policies of all worlds share: words, the echo text, the check of settings. See ../README.md."""

from carrara_policy import log
from carrara_policy._policy import SettingsError

WORDS = ("echo", "allow", "plain", "several", "facts", "log", "count", "fail", "error")

_counter = 0


def word(settings):
    """What the settings say to do."""
    if settings is None:
        return "echo"
    return settings["do"] if isinstance(settings, dict) else settings.split("\n")[-1].strip()


def count():
    """One more than before; every call begins anew."""
    global _counter
    _counter += 1
    return str(_counter)


def fail():
    raise RuntimeError("contract: it broke ✓")


def write_log():
    log.debug("a debug line")
    log.info("an info line")
    log.warn("a warning ✓")


def check(settings):
    if isinstance(settings, str):
        yield from _unknown_words(settings)
    elif isinstance(settings, dict):
        for key in settings:
            if key != "do":
                yield SettingsError(f"unknown key: {key}", hint="the only key is do")
        if "do" in settings and settings["do"] not in WORDS:
            yield SettingsError("do must be a word")
    elif settings is not None:
        yield SettingsError("Settings must be a text or an object", hint='write "echo"')


def _unknown_words(text):
    for number, line in enumerate(text.split("\n"), 1):
        found = line.strip()
        if found == "refuse":
            raise RuntimeError("contract: the check broke")
        if found and found not in WORDS:
            yield SettingsError(f"unknown word: {found}", number, line.index(found) + 1)


def text(value):
    return "<" + "".join(f"\\x{ord(it):02x}" if ord(it) < 0x20 or ord(it) == 0x7F else it for it in value) + ">"


def texts(values):
    return listed(text, values)


def listed(show, values):
    return "[" + ",".join(show(value) for value in values) + "]"


def optional(show, value):
    return "none" if value is None else f"some({show(value)})"


def truth(value):
    return "true" if value else "false"


def value(it):
    if isinstance(it, bool):
        return f"truth {truth(it)}"
    if isinstance(it, int):
        return f"number {it}"
    if isinstance(it, str):
        return f"text{text(it)}"
    return f"bytes {it.hex()}" if isinstance(it, bytes) else f"texts{texts(it)}"


def fact(it):
    return f"{text(it.name)}={value(it.value)}"


def looked_up(question):
    found = question.fact("secret-last-set:token")
    return "none" if found is None else value(found)


def role(it):
    return f"{text(it.name)} {text(it.resource_type)} {texts(it.resource_names)} {texts(it.actions)}"


def principal(it):
    return f"{text(it.name)} {it.certificate_sha256.hex()} {listed(role, it.roles)}"


def context(it):
    return f"settings{text(it.settings_text)} now {it.now} revision {it.revision} facts{listed(fact, it.facts)}"
