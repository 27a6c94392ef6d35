"""A simulated world in which the worth of every learned thing is known.

Tasks have topics, and families as the service would name them: coarser, so that tasks of one
family are not equally hard and a comparison within the family is off by some points. What is
planted helps, harms or does nothing by a known amount, in one topic, in two, or in one only
of the two that it is recalled for. Luck is drawn from the number of the run alone: the same
task under another memory has the same luck.
"""

import random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from memory.records import RunOutcome

Nature = Literal["helpful", "harmful", "useless", "local"]
"""`local` helps in one of the two topics that it is recalled for."""

TOPICS_PER_FAMILY = 2
EFFECTS: Mapping[Nature, float] = {"helpful": 0.15, "harmful": -0.2, "useless": 0.0}
ASPECTS: Mapping[str, tuple[Nature, ...]] = {
    "a": ("helpful", "harmful"),
    "b": ("helpful", "useless"),
    "c": ("harmful", "useless"),
}
"""What a task may ask for besides its topic, and the entries that are recalled for it. Those
of one aspect are recalled together: only the draws can tell one from the other."""
ASPECT_SHARE = 0.5
"""Share of a topic's tasks that have an aspect."""
SHIFT = 0.08
"""How much easier or harder than its family a topic is."""
DISTRACTION = -0.01
"""Effect of an entry on a task that it is not about."""
NAMESPACE = "world"

_SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "zo")


@dataclass(frozen=True)
class Topic:
    """What tasks are about."""

    name: str
    family: str
    words: tuple[str, ...]
    aspects: Mapping[str, tuple[str, ...]]
    """Words of each aspect."""
    base: float
    """Rate of success without any memory."""


@dataclass(frozen=True)
class Planted:
    """A tip with known effects."""

    nature: Nature
    text: str
    effects: Mapping[str, float]
    """On the rate of success, by name of topic."""


@dataclass(frozen=True)
class WorldTask:
    """One task of the world."""

    number: int
    topic: Topic
    text: str
    aspects: tuple[str, ...]
    luck: float
    """The task succeeds when its chance is above this."""


class World:
    """Families, topics and plants, all drawn from one seed."""

    def __init__(
        self, seed: int, *, families: int = 3, effects: Mapping[Nature, float] = EFFECTS
    ) -> None:
        self.seed = seed
        self._families = families
        self._effects = effects
        draw = random.Random(f"world {seed}")  # noqa: S311 - a simulation
        self._words = _words(draw)
        self.topics = tuple(self._topics(draw))
        self.plants = tuple(self._plants())

    def task(self, number: int) -> WorldTask:
        """Return a task; the same number is always the same task."""
        draw = random.Random(f"task {self.seed} {number}")  # noqa: S311 - a simulation
        topic = draw.choice(self.topics)
        aspects = tuple(name for name in ASPECTS if draw.random() < ASPECT_SHARE)
        return WorldTask(number, topic, _ask(topic, aspects), aspects, draw.random())

    def elsewhere(self, task: WorldTask) -> str:
        """Return what a task of another topic asks for, always the same."""
        draw = random.Random(f"elsewhere {self.seed} {task.number}")  # noqa: S311 - a simulation
        return _ask(draw.choice([one for one in self.topics if one != task.topic]), task.aspects)

    def chance(self, task: WorldTask, shown: Collection[Planted]) -> float:
        """Return the chance of success of a task with these tips in its prompt."""
        effects = (plant.effects.get(task.topic.name, DISTRACTION) for plant in shown)
        return min(max(task.topic.base + sum(effects), 0.02), 0.98)

    def outcome(self, task: WorldTask, run_id: str, shown: Collection[Planted]) -> RunOutcome:
        """Return how the task ends."""
        success = task.luck < self.chance(task, shown)
        steps = (6 if success else 11) + task.number % 3
        return RunOutcome(
            run_id=run_id,
            task_id=f"t{task.number}",
            namespace=NAMESPACE,
            family=task.topic.family,
            success=success,
            end_reason="done" if success else "max_steps",
            steps=steps,
            failures=0 if success else 3,
            tokens=900 * steps + 60 * len(shown),
            usd=0.001 * steps,
            seconds=2.0 * steps,
        )

    def _topics(self, draw: random.Random) -> Iterator[Topic]:
        for family in range(self._families):
            base = draw.uniform(0.4, 0.7)
            for place in range(TOPICS_PER_FAMILY):
                shift = SHIFT if place % 2 else -SHIFT
                aspects = {name: self._some(4) for name in ASPECTS}
                name = f"topic {family}.{place}"
                yield Topic(name, f"family {family}", self._some(3), aspects, base + shift)

    def _plants(self) -> Iterator[Planted]:
        for topic in self.topics:
            for aspect, natures in ASPECTS.items():
                for nature in natures:
                    effects = {topic.name: self._effects[nature]}
                    yield self._plant(nature, effects, topic.aspects[aspect])
        for family in range(self._families):
            here = self.topics[family * TOPICS_PER_FAMILY]
            there = self.topics[(family * TOPICS_PER_FAMILY + 3) % len(self.topics)]
            effects = {here.name: self._effects["helpful"], there.name: 0.0}
            about = (*here.aspects["b"][:3], *there.aspects["b"][:3])
            yield self._plant("local", effects, about)

    def _plant(
        self, nature: Nature, effects: Mapping[str, float], about: tuple[str, ...]
    ) -> Planted:
        return Planted(nature, f"For {' '.join(about)} use {' '.join(self._some(5))}.", effects)

    def _some(self, count: int) -> tuple[str, ...]:
        return tuple(next(self._words) for _ in range(count))


def _ask(topic: Topic, aspects: tuple[str, ...]) -> str:
    words = [*topic.words, *(word for name in aspects for word in topic.aspects[name])]
    return f"Please handle {' '.join(words)}"


def _words(draw: random.Random) -> Iterator[str]:
    """Yield words that no language has, each once."""
    seen: set[str] = set()
    while True:
        word = "".join(draw.choice(_SYLLABLES) for _ in range(4))
        if word not in seen:
            seen.add(word)
            yield word
