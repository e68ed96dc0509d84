"""Pods for the tests of workers."""

from common.enrichment.pods import PodFacts


def pod(uid: str, address: str = "10.0.0.1", name: str = "") -> PodFacts:
    return PodFacts(
        uid=uid,
        namespace="shop",
        name=name or f"pod-{uid}",
        addresses=(address,),
        since="2026-01-01T00:00:00Z",
        keys=("k8s.pod.uid", "k8s.namespace.name"),
        values=(uid, "shop"),
        containers=(("app", "1.2"),),
        legacy_label="shop",
        host="192.168.0.1",
        withheld=(),
        state="",
    )
