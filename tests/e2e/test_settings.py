# SPDX-License-Identifier: Apache-2.0
"""A broker that is set up wrongly ends, and says what would be right."""

import pytest

NO_OPA = "http://127.0.0.1:1"  # nobody gets so far as to ask it
NO_LIBRARY = __file__
SECONDS = 60


@pytest.mark.parametrize("key, value, message", [
    (
        "doorkeeper.deadline.ms", "soon",
        "doorkeeper.deadline.ms=soon: expected a whole number from 1 to 2000",
    ),
    (
        "doorkeeper.cache.ttl.allowed.ms", "1000",
        "doorkeeper.cache.ttl.allowed.ms: there is no such setting;"
        " did you mean doorkeeper.cache.ttl.allow.ms?",
    ),
    ("doorkeeper.library.path", NO_LIBRARY, f"{NO_LIBRARY} could not be loaded: "),
], ids=["a wrong value", "an unknown key", "no library"])  # fmt: skip
def test_a_wrong_setting_ends_the_broker(key, value, message, new_cluster):
    cluster = new_cluster(NO_OPA, extra={key: value})
    cluster.start(wait=False)
    assert cluster.broker.process.wait(SECONDS) != 0
    assert f"ConfigException: {message}" in cluster.broker.log_text()
