"""All targets of one node together: each URL once, within the limit, and the rest explained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import final

from agent import targets


@final
@dataclass(slots=True)
class Roster:
    """Everything decided so far, and what follows from all of it together.

    Deciding happens once per changed pod; only the selection looks at all of them, a few dictionary
    operations for each of the hundred or so pods of a node.
    """

    fixed: tuple[targets.Target, ...]
    max_targets: int
    pods: dict[str, targets.Decision] = field(default_factory=dict)

    def put(self, decision: targets.Decision) -> None:
        """Note the latest decision about a pod."""
        self.pods[decision.uid] = decision

    def remove(self, uid: str) -> None:
        """Forget a pod that is gone."""
        self.pods.pop(uid, None)

    def replace(self, decisions: Iterable[targets.Decision]) -> None:
        """Note a complete list: other pods are gone."""
        self.pods = {decision.uid: decision for decision in decisions}

    def select(self) -> tuple[dict[str, targets.Target], tuple[targets.Skipped, ...]]:
        """Return the targets by URL, each URL once and at most *max_targets*, and all else."""
        chosen: dict[str, targets.Target] = {}
        skipped = [entry for decision in self.pods.values() for entry in decision.skipped]
        offered = [target for decision in self.pods.values() for target in decision.targets]
        for target in (*self.fixed, *offered):
            first = chosen.get(target.url)
            if first is not None:
                why = f"its URL is scraped for {first.subject} already"
            elif len(chosen) >= self.max_targets:
                why = f"there are {self.max_targets} targets already; raise scraping.max_targets"
            else:
                chosen[target.url] = target
                continue
            skipped.append(targets.Skipped(subject=target.subject, why=why, url=target.url))
        return chosen, tuple(skipped)
