"""Each system on the bench, for real: where nothing goes wrong nothing is held against it."""

from __future__ import annotations

import pytest

from deployd.config import ReceiptPolicy
from deployd.tools.chaos.runner import Bench, play_scenario
from deployd.tools.chaos.scenario import RoomTerms, Scenario
from deployd.tools.chaos.scenario.schema import Expectations, Population, Traffic
from deployd.tools.chaos.targets import TARGETS, find_target
from deployd.tools.oracle import Answered
from support.servers import where_installed

ROOMS = (RoomTerms("plain"), RoomTerms("heard", receipt=ReceiptPolicy.HEARD))
QUIET = Scenario(
    "quiet",
    pods=Population(count=2),
    load=Traffic(clients=1, rate=5, rooms=ROOMS),
    expect=Expectations(outage="never", local_p99=5.0),
)
SCOPES = {
    "deployd": {"cluster"},
    "socketio-redis": {"taken", "cluster"},
    "socketio-streams": {"taken", "cluster"},
    "python-socketio": {"taken"},
}
"""What receipts say where all is well."""


@pytest.mark.parametrize("name", TARGETS)
async def test_where_nothing_goes_wrong_nothing_is_lost_and_nothing_is_blamed(
    name: str, servers_wanted: None
) -> None:
    with where_installed():
        target = find_target(name)
        async with Bench.open(target, "redis", "single") as bench:
            found = await play_scenario(bench, QUIET, 1)
    assert found.violations == ()
    assert [str(check) for check in found.checks if not check.held] == []
    assert found.measures.sent > 10
    assert found.measures.elsewhere == found.measures.here == found.measures.sent
    scopes = {each.scope for each in found.history if isinstance(each, Answered)}
    assert scopes == SCOPES[name]
