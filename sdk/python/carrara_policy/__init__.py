"""Policies for the Carrara coordinator, written in Python.

One module for each world, each with all that a policy of that world needs:

- :mod:`carrara_policy.authorization`: may this user do this?
- :mod:`carrara_policy.admission`: may this Marble be activated?
- :mod:`carrara_policy.validation`: is this manifest acceptable?

:mod:`carrara_policy.testing` asks a policy natively, in any test framework. Nothing here needs WebAssembly; `carrara policy
build` makes the component.
"""

__version__ = "0.1.0"
