"""Authorizers, asked natively: what they answer, and what their errors become."""

import unittest

from carrara_policy import log, testing
from carrara_policy.authorization import Allow, Deny, SettingsError, allow, deny


def answering(answer):
    return lambda request: answer


def raising(error):
    def authorize(request):
        raise error

    return authorize


class Authorization(unittest.TestCase):
    def test_a_policy_allows_and_denies_with_all_that_it_says(self):
        def authorize(request):
            if request.principal.name == "alice":
                return allow()
            return deny("nobody-else", "only alice", hint="ask alice", resources=request.resource_names)

        self.assertEqual(testing.authorize(authorize, principal="alice").decision, Allow())
        denied = testing.authorize(authorize, principal="bob", resource_names=["a", "ü"])
        self.assertEqual(denied.decision, Deny("nobody-else", "only alice", "ask alice", ("a", "ü")))
        self.assertEqual(denied.log, [])

    def test_an_uncaught_error_denies_and_only_the_log_has_its_text(self):
        class Hidden(Exception):
            def __str__(self):
                raise RuntimeError("no text")

        for error, text in [
            (ValueError("it broke ✓"), "warn: ValueError: it broke ✓ (test_authorization.py:"),
            (KeyError("x"), "warn: KeyError: 'x' ("),
            (SystemExit(3), "warn: SystemExit: 3 ("),
            (KeyboardInterrupt(), "warn: KeyboardInterrupt ("),
            (Hidden(), "warn: Hidden: (it cannot be shown) ("),
        ]:
            with self.subTest(text):
                answer = testing.authorize(raising(error))
                expected = Deny("policy-error", "the policy failed", "the coordinator's log says why", ())
                self.assertEqual(answer.decision, expected)
                self.assertEqual(len(answer.log), 1)
                self.assertTrue(answer.log[0].startswith(text), answer.log[0])

    def test_endless_recursion_denies(self):
        def authorize(request):
            return authorize(request)

        answer = testing.authorize(authorize)
        self.assertEqual(answer.decision.code, "policy-error")
        self.assertIn("RecursionError", answer.log[0])

    def test_only_allow_allows_other_answers_are_errors_of_the_policy(self):
        for answer in [True, None, "allow", {"allowed": True}, allow, Allow, 1]:
            with self.subTest(repr(answer)):
                decided = testing.authorize(answering(answer))
                self.assertEqual(decided.decision.code, "policy-error")
                self.assertIn("TypeError", decided.log[0])
        for make in [
            lambda request: deny("", ""),
            lambda request: deny(1, "x"),
            lambda request: deny("c", "m", resources="abc"),
            lambda request: deny("c", "m", resources=[1]),
            lambda request: Deny("c", None),
        ]:
            self.assertEqual(testing.authorize(make).decision.code, "policy-error")

    def test_settings_time_and_facts_reach_the_policy_as_what_they_are(self):
        seen = []

        def authorize(request):
            seen.append(request)
            return allow()

        facts = {"number": 2**64 - 1, "text": "x", "truth": False, "bytes": b"\0\xff", "texts": ("a", "")}
        testing.authorize(authorize, settings={"a": ["ü"]}, now=7, revision=2**53 + 1, facts=facts)
        (request,) = seen
        self.assertEqual(request.settings, {"a": ["ü"]})
        self.assertEqual(request.context.settings_text, '{"a":["ü"]}')
        self.assertEqual((request.context.now, request.context.revision), (7, 2**53 + 1))
        for name, value in facts.items():
            self.assertEqual(request.fact(name), value)
            self.assertIs(type(request.fact(name)), type(value))
        self.assertIsNone(request.fact("other"))

    def test_a_question_cannot_be_changed(self):
        def authorize(request):
            request.action = "other"
            return allow()

        self.assertEqual(testing.authorize(authorize).decision.code, "policy-error")

    def test_roles_reach_the_policy(self):
        def authorize(request):
            (role,) = request.principal.roles
            return allow() if role.actions == ("ReadSecret",) and role.resource_names == ("a",) else deny("c", "m")

        frank = testing.principal("frank", [testing.role("r", "Secrets", ["a"], ["ReadSecret"])])
        self.assertEqual(testing.authorize(authorize, principal=frank).decision, Allow())

    def test_halves_of_surrogate_pairs_are_replaced(self):
        self.assertEqual(testing.authorize(answering(deny("c", "\ud800x"))).decision.message, "?x")

    def test_the_log_has_the_levels_in_order(self):
        def authorize(request):
            log.debug("d")
            log.info(1)
            log.warn("w ✓")
            return allow()

        self.assertEqual(testing.authorize(authorize).log, ["debug: d", "info: 1", "warn: w ✓"])

    def test_numbers_that_no_coordinator_sends_are_an_error_of_the_test(self):
        for number in [-1, 2**64]:
            with self.assertRaises(ValueError):
                testing.authorize(answering(allow()), now=number)


class Settings(unittest.TestCase):
    def test_settings_are_checked_with_places(self):
        def check(settings):
            if settings == "raise":
                raise SettingsError("raised", 2, 3, "h")
            if settings == "one":
                return SettingsError("one")
            if isinstance(settings, list):
                return (SettingsError(text, line) for line, text in enumerate(settings, 1))
            return None

        def places(settings):
            return [(it.line, it.column, it.message, it.hint) for it in testing.check(check, settings).errors]

        self.assertEqual(places(None), [])
        self.assertEqual(places("raise"), [(2, 3, "raised", "h")])
        self.assertEqual(places("one"), [(1, 1, "one", None)])
        self.assertEqual(places(["a", "ü"]), [(1, 1, "a", None), (2, 1, "ü", None)])

    def test_a_check_that_fails_refuses_and_says_why_in_the_log_alone(self):
        def check(settings):
            if settings == "raise":
                raise ValueError("secret internals")
            return settings

        for settings in ["raise", True, "text", ["text"], 1]:
            with self.subTest(repr(settings)):
                checked = testing.check(check, settings)
                found = [(it.line, it.column, it.message, it.hint) for it in checked.errors]
                self.assertEqual(found, [(1, 1, "the policy failed", "the coordinator's log says why")])
                self.assertEqual(len(checked.log), 1)

    def test_places_are_those_that_wit_can_carry(self):
        for line in [-1, 2**32, 1.0, True, "1"]:
            with self.assertRaises(TypeError):
                SettingsError("x", line)

    def test_text_that_is_no_json_is_refused_where_it_stops_being_json(self):
        from carrara_policy._policy import check_settings

        for text, line in [('{\n  "do": }', 2), ('{"do":', 1), ("", 1), ("[1,]", 1), ("null x", 1), ("NaN", 1)]:
            with self.subTest(text):
                (error,) = check_settings(None, text)
                self.assertEqual(error.line, line)
                self.assertIn("no JSON", error.message)
        accepting = lambda value: None
        self.assertEqual(check_settings(accepting, '{"a": [1.5e3, true, null, "\\u0065"]}'), [])

    def test_without_a_check_null_and_an_empty_object_are_accepted_and_nothing_else(self):
        from carrara_policy._policy import check_settings

        for text in ["null", " null\n", "{}", "{ }"]:
            self.assertEqual(check_settings(None, text), [], text)
        for text in ['{"a": 1}', "[]", "0", "false", '""']:
            with self.subTest(text):
                (error,) = check_settings(None, text)
                self.assertEqual((error.line, error.column, error.message), (1, 1, "this policy has no settings"))
