"""The examples in the documentation are true."""

import doctest
import unittest

from carrara_policy import admission, authorization, validation


def load_tests(loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: object) -> unittest.TestSuite:
    for module in (admission, authorization, validation):
        tests.addTests(doctest.DocTestSuite(module))
    return tests
