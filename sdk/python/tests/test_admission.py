"""Admitters, asked natively."""

import unittest

from carrara_policy import testing
from carrara_policy.admission import Allow, allow, deny


class Admission(unittest.TestCase):
    def test_evidence_and_counters_reach_the_policy_absent_ones_as_none(self):
        seen = []

        def admit(request):
            seen.append(request)
            return deny("debug", "no") if request.evidence and request.evidence.debug else allow()

        identity = {"product-id": 7, "unique-id": b"\1"}
        debug = testing.admit(
            admit, marble_type="m", evidence={"debug": True, "identity": identity}, activations=0, max_activations=2**64 - 1
        )
        self.assertEqual(debug.decision.code, "debug")
        evidence = seen[0].evidence
        self.assertEqual((evidence.tee, evidence.tcb_status, evidence.fact("product-id")), ("sgx", "UpToDate", 7))
        self.assertEqual((seen[0].activations, seen[0].max_activations), (0, 2**64 - 1))
        self.assertEqual(testing.admit(admit, dns_names=["d"]).decision, Allow())
        self.assertEqual((seen[1].evidence, seen[1].activations, seen[1].max_activations), (None, None, None))
