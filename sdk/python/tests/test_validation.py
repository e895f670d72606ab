"""Validators, asked natively."""

import unittest

from carrara_policy import testing
from carrara_policy.validation import Finding, error, pointer, warning


class Validation(unittest.TestCase):
    def test_findings_keep_their_order_from_lists_and_generators(self):
        def generator(proposal):
            yield error("E-1", pointer("Packages", "a/b~"), "first", hint="do this")
            yield warning("W-1", "", "second")

        expected = [
            Finding("error", "E-1", "/Packages/a~1b~0", "first", "do this"),
            Finding("warning", "W-1", "", "second"),
        ]
        self.assertEqual(testing.validate(generator).findings, expected)
        self.assertEqual(testing.validate(lambda proposal: expected).findings, expected)
        self.assertEqual(testing.validate(lambda proposal: None).findings, [])

    def test_a_policy_that_fails_half_way_refuses_the_manifest(self):
        def validate(proposal):
            yield warning("W", "", "found")
            raise RuntimeError("it broke")

        found = testing.validate(validate)
        self.assertEqual([(it.severity, it.code, it.path) for it in found.findings], [("error", "policy-error", "")])
        self.assertIn("RuntimeError: it broke", found.log[0])

    def test_what_is_no_finding_refuses_the_manifest(self):
        for answer in [True, "text", [None], ["x"], 1, Finding("info", "c", "", "m"), [Finding("info", "c", "", "m")]]:
            with self.subTest(repr(answer)):
                found = testing.validate(lambda proposal, answer=answer: answer)
                self.assertEqual([it.code for it in found.findings], ["policy-error"])

    def test_manifests_are_parsed_when_they_are_read(self):
        seen = []
        testing.validate(
            seen.append,
            manifest={"Packages": {}},
            current="{}",
            current_versions={"web": 2**64 - 1},
            change="full-update",
            proposer="alice",
        )
        (proposal,) = seen
        self.assertEqual((proposal.manifest, proposal.current, proposal.change), ({"Packages": {}}, {}, "full-update"))
        self.assertEqual(proposal.current_versions[0].security_version, 2**64 - 1)
        self.assertEqual(proposal.proposer.name, "alice")
        testing.validate(seen.append, manifest="no JSON")
        self.assertIsNone(seen[1].current)
        with self.assertRaises(ValueError):
            seen[1].manifest
