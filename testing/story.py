"""What a simulated test tells: pods in a network that fails, and clients that it directs."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import Any, Final

import trio
from attrs import frozen

from ..actors import JSON
from ..tools.oracle import Violation, judge
from ..tools.simulator.chance import Pauses
from ..tools.simulator.client import SAID, Visit
from ..tools.simulator.plan import RunPlan
from ..tools.simulator.pod import PodKind, SimulatedPod
from ..tools.simulator.world import World
from ..transport import Emit
from .history import JUDGED

__all__ = [
    "HeardEvent",
    "RoomCrash",
    "SimulatedClient",
    "Story",
    "StoryVisit",
    "StoryWorld",
    "room_crashes",
]

BACK: Final = 0.5
"""Seconds after which a client whose pod has died tries to come back."""
LONGEST: Final = 300.0
"""Virtual seconds that one seed may take."""
MOST_ROOM_CRASHES: Final = 3
CRASHING: Final = (3.0, 17.0)
"""Seconds of a run between which rooms crash."""
ROOMS: Final = "pod/rooms/*"
ANSWER: Final = 10.0
"""Seconds within which an emit is answered, or never."""
UNANSWERED: Final = "unanswered"


@frozen
class RoomCrash:
    """All rooms of a pod crash, `at` seconds since the run began."""

    at: float
    pod: int

    def __str__(self) -> str:
        """Say it in a line, as the faults of a plan do."""
        return f"{self.at:6.3f} s the rooms of pod {self.pod} crash"


def room_crashes(plan: RunPlan) -> Sequence[RoomCrash]:
    """Draw when rooms crash in a run: now and then, as bugs make them."""
    draw = random.Random(f"rooms of {plan.seed}")  # noqa: S311 - chance, not secrecy
    times = sorted(draw.uniform(*CRASHING) for _ in range(draw.randint(0, MOST_ROOM_CRASHES)))
    return [RoomCrash(at, draw.randrange(plan.pods)) for at in times]


@frozen
class HeardEvent:
    """An event that a client has heard, `at` seconds since the run began."""

    at: float
    room: str | None
    event: str
    data: JSON


class StoryVisit(Visit):
    """A visit that also says what it is told to, and keeps all it hears."""

    @cached_property
    def heard(self) -> list[HeardEvent]:
        """What it has heard."""
        return []

    @cached_property
    def answers(self) -> dict[int, str]:
        """The scope of each answered emit, or `error:` and a code."""
        return {}

    @cached_property
    def _waiting(self) -> list[trio.Event]:
        return []

    async def answered(self) -> None:
        """Return when something was answered, or the visit is over."""
        news = trio.Event()
        self._waiting.append(news)
        await news.wait()

    def vanish(self) -> None:
        """Be told nothing more: its pod is dead."""
        super().vanish()
        self._wake()

    def emit(self, room: str, event: str, data: JSON) -> int:
        """Say something, and return the number by which it is answered."""
        self._number += 1
        self._act(Emit(event, data, room, self._number))
        return self._number

    def _hear(self, told: dict[str, Any]) -> None:
        kind, data = told["type"], told.get("data")
        if kind == "emit":
            event = HeardEvent(trio.current_time(), told.get("room"), told["event"], data)
            self.heard.append(event)
            if told["event"] == SAID and not (isinstance(data, dict) and "by" in data):
                return  # somebody's own, of which the oracle knows nothing
        elif kind == "receipt":
            self.answers[told["id"]] = told["data"]["scope"]
        elif kind == "error" and told.get("id") is not None:
            self.answers[told["id"]] = f"error:{told['data']['code']}"
        super()._hear(told)
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            self._waiting.pop().set()


class SimulatedClient:
    """A client of one of the pods; when that has died it comes back, as clients do."""

    def __init__(self, story: Story, number: int, pod: int) -> None:
        self.number = number
        self.pod = pod
        self.rooms: dict[str, None] = {}
        self._story = story
        self._visits: list[StoryVisit] = []

    @property
    def connected(self) -> bool:
        """Whether its pod runs, and it is there."""
        return bool(self._visits) and self._visits[-1].live

    def join(self, room: str) -> None:
        """Be in a room from now on, on each visit."""
        self.rooms[room] = None
        self._do(lambda visit: visit.join(room))

    def leave(self, room: str) -> None:
        """Leave it."""
        self.rooms.pop(room, None)
        self._do(lambda visit: visit.leave(room))

    async def emit(self, room: str, event: str, data: JSON = None) -> str:
        """Say something; return its scope, `error:` and a code, or `unanswered`."""
        if not self.connected:
            return UNANSWERED
        visit, number = self._visits[-1], 0

        def say(it: StoryVisit) -> None:
            nonlocal number
            number = it.emit(room, event, data)

        self._do(say)
        with trio.move_on_after(ANSWER):
            while visit.live and number not in visit.answers:
                await visit.answered()
        return visit.answers.get(number, UNANSWERED)

    def say(self, room: str) -> None:
        """Say something that `Story.check` judges, in a room that passes on what it gets."""
        self._do(lambda visit: visit.say(room, 0))

    def heard(self, room: str, event: str | None = None) -> list[JSON]:
        """Return what it has heard in a room, in order, over all its visits."""
        return [data for visit in self.visits(room, event) for data in visit]

    def visits(self, room: str, event: str | None = None) -> list[list[JSON]]:
        """Return the same for each visit: rooms of a pod that has died begin anew with it."""
        return [
            [one.data for one in visit.heard if one.room == room and event in (None, one.event)]
            for visit in self._visits
        ]

    def come(self, pod: SimulatedPod) -> None:
        """Come to a pod that runs, and join its rooms."""
        visit = pod.welcome(self.number, f"client{self.number}.{len(self._visits) + 1}")
        assert isinstance(visit, StoryVisit)  # noqa: S101 - what the kind of pod says
        self._visits.append(visit)
        for room in self.rooms:
            pod.do(visit.join, room)

    def _do(self, what: Callable[[StoryVisit], object]) -> None:
        pod = self._story.pod(self.pod)
        if pod is not None and self.connected:
            pod.do(what, self._visits[-1])


class Story:
    """What a test gets: `client()`, time (`trio.sleep`), faults beside those of the seed, `calm()`.

    `seed`, `broker` and `pods` are of this run.
    """

    def __init__(self, world: StoryWorld, plan: RunPlan) -> None:
        self.seed = plan.seed
        self.broker = plan.broker
        self.pods = plan.pods
        self.faults: Sequence[str] = [str(fault) for fault in plan.faults]
        self._world = world
        self._plan = plan
        self._clients: list[SimulatedClient] = []

    async def client(self, pod: int = 0, *rooms: str) -> SimulatedClient:
        """Connect a client to a pod (counted from 0, and round), and let it into rooms."""
        made = SimulatedClient(self, len(self._clients), pod % self.pods)
        self._clients.append(made)
        self.look_after_clients()
        for room in rooms:
            made.join(room)
        await trio.sleep(0.1)
        return made

    def inject(self, pod: int, fault: str, **wanted: object) -> None:
        """Break a pod from inside (`deployd chaos inject`), if it runs."""
        there = self.pod(pod % self.pods)
        if there is not None and there.chaos is not None:
            there.chaos.inject(fault, **wanted)

    async def calm(self) -> None:
        """Return when all faults are over, and pods have had the time to heal."""
        await trio.sleep_until(self._plan.last_words)

    def judge(self, rules: Sequence[str] = JUDGED) -> Sequence[Violation]:
        """Return what broke a rule of the oracle: of what was said by `say`."""
        return judge(self._world.history, rules)

    def check(self, rules: Sequence[str] = JUDGED) -> None:
        """Raise `AssertionError` with what broke a rule."""
        found = self.judge(rules)
        assert not found, "\n".join(map(str, found[:10]))  # noqa: S101

    def pod(self, number: int) -> SimulatedPod | None:
        """Return a pod that runs and is awake, or None."""
        return self._world.awake(number)

    def look_after_clients(self) -> None:
        """Let those come back whose pods are there again."""
        for client in self._clients:
            pod = self.pod(client.pod)
            if pod is not None and not client.connected:
                client.come(pod)


class StoryWorld(World):
    """The simulator's world, in which a test says what clients do."""

    def __init__(
        self,
        plan: RunPlan,
        pauses: Pauses,
        kind: PodKind,
        crashes: Sequence[RoomCrash],
        tell: Callable[[Story], Awaitable[None]],
    ) -> None:
        super().__init__(plan, pauses, lambda _, pods: self.play(pods), kind)
        self._crashes = crashes
        self._tell = tell

    async def play(self, nursery: trio.Nursery) -> None:
        """Let happen what the seed says, and tell the story to its end."""
        story = Story(self, self._plan)
        await trio.sleep(0.01)
        for fault in self._plan.faults:
            nursery.start_soon(self._befall_in_time, fault, nursery)
        nursery.start_soon(self._crash_rooms, story)
        nursery.start_soon(self._note_calm)
        nursery.start_soon(self._look_after, story)
        with trio.move_on_after(LONGEST) as told:
            await self._tell(story)
        if told.cancelled_caught:
            raise TimeoutError(f"The test is not over after {LONGEST:g} virtual seconds.")

    def awake(self, number: int) -> SimulatedPod | None:
        """Return a pod that runs and is not paused."""
        pod = self._pods.get(number)
        return pod if pod is not None and pod.running and number not in self._pauses else None

    async def _look_after(self, story: Story) -> None:
        while True:
            await trio.sleep(BACK)
            story.look_after_clients()

    async def _crash_rooms(self, story: Story) -> None:
        """Crash rooms now and then, as bugs do."""
        for crash in self._crashes:
            await trio.sleep_until(crash.at)
            story.inject(crash.pod, "actor.crash", path=ROOMS, seconds=1.0)
