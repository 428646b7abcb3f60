"""Which cases of a kind wait for `make test-long`."""

import pytest


def long(*values) -> list:
    """These values of a parameter, as cases that `make test` leaves to `make test-long`."""
    return [pytest.param(value, marks=pytest.mark.long) for value in values]
