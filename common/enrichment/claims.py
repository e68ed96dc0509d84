"""Who has an address or a name that several pods claim."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, Protocol, TypeVar


class Claimant(Protocol):
    """A revision of a pod; equality is that of the object."""

    @property
    def uid(self) -> str: ...  # noqa: D102 - the protocol's names say it
    @property
    def since(self) -> str: ...  # noqa: D102


Key = TypeVar("Key", bound=Hashable)
Pod = TypeVar("Pod", bound=Claimant)


class Claims(Generic[Key, Pod]):
    """Who owns a key that several pods may claim.

    The living come before the deleted. Of several living pods one is stale: the API server shows
    the address of a pod that ended until its kubelet says so. Who was seen to take a key from
    others, having started no earlier, has it for good. Where nothing was seen, as within one list,
    the pod that started last has it. Where that leaves doubt (an older pod takes it, two started in
    the same second) nobody has it until one lets go: no attribute beats a wrong one.

    Almost always one pod claims a key, so only contested keys carry the list of who else does.
    """

    __slots__ = ("contested", "winners")

    def __init__(self) -> None:
        self.winners: dict[Key, Pod] = {}
        self.contested: dict[Key, dict[str, Pod]] = {}

    def hand_over(
        self,
        old: Pod | None,
        had: tuple[Key, ...],
        pod: Pod | None,
        has: tuple[Key, ...],
        departed: Mapping[str, float],
        *,
        seen: bool,
    ) -> None:
        """Let *pod* with the keys it *has* follow *old*, the same pod's revision before, if any.

        A key that it keeps is no new claim: a stale pod does not get its address back by changing
        a label. *seen*: it just happened, in contrast to being found in a list.
        """
        for key in had:
            if key not in has:
                self._release(key, old, departed)
            elif pod is not None:
                self.renew(key, old, pod, departed)
        for key in has:
            if key not in had and pod is not None:
                self._claim(key, pod, departed, seen=seen)

    def renew(self, key: Key, old: Pod | None, pod: Pod, departed: Mapping[str, float]) -> None:
        """Let *pod*, the next revision of *old*, stand where that stood."""
        if self.winners.get(key) is old:
            self.winners[key] = pod
        if self.contested:
            rivals = self.contested.get(key)
            if rivals is not None and pod.uid in rivals:
                before, rivals[pod.uid] = rivals[pod.uid], pod
                if before.since != pod.since:
                    self._settle(key, rivals, departed)

    def _claim(self, key: Key, pod: Pod, departed: Mapping[str, float], *, seen: bool) -> None:
        rivals = self.contested.get(key)
        if rivals is None:
            winner = self.winners.setdefault(key, pod)
            if winner is pod:
                return
            rivals = {winner.uid: winner}
        if pod.uid in departed:
            return  # its first and last revision at once: others came later, or are alive
        rivals = {
            uid: rival
            for uid, rival in rivals.items()
            if uid not in departed and not (seen and pod.since >= rival.since)
        }
        rivals[pod.uid] = pod
        if len(rivals) == 1:
            self.contested.pop(key, None)
            self.winners[key] = pod
            return
        self.contested[key] = rivals
        if seen:
            self.winners.pop(key, None)
        else:
            self._settle(key, rivals, departed)

    def _release(self, key: Key, pod: Pod | None, departed: Mapping[str, float]) -> None:
        rivals = self.contested.get(key)
        if rivals is None:
            if self.winners.get(key) is pod:
                del self.winners[key]
            return
        if pod is None or rivals.pop(pod.uid, None) is None:
            return  # whoever lost it to another has nothing to let go
        self._settle(key, rivals, departed)
        if len(rivals) == 1:
            del self.contested[key]

    def reconsider(self, key: Key, pod: Pod, departed: Mapping[str, float]) -> None:
        """Settle *key* again: *pod*, perhaps one of its claimants, has departed."""
        rivals = self.contested.get(key)
        if rivals is not None and pod.uid in rivals:
            self._settle(key, rivals, departed)

    def _settle(self, key: Key, rivals: Mapping[str, Pod], departed: Mapping[str, float]) -> None:
        ranks = {uid: (uid not in departed, rival.since) for uid, rival in rivals.items()}
        best = max(ranks.values())
        first, *others = [rivals[uid] for uid, rank in ranks.items() if rank == best]
        if others:
            self.winners.pop(key, None)
        else:
            self.winners[key] = first
