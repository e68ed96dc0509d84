"""Remote write 2.0 the obvious way: messages parsed, asked and filled in, one field at a time."""

from __future__ import annotations

from typing import Any

from tests.fakes import remote_write_schema as schema

_DRAFT = schema.messages("reference.draft", schema.DRAFT)
_V2 = schema.messages("reference.v2", schema.V2)


def encode(draft: bytes) -> bytes:
    """Encode a request of 1.0 that has start times as one of 2.0."""
    given = _DRAFT["WriteRequest"].FromString(draft)
    request = _V2["Request"](symbols=[""])
    positions = {"": 0}

    def ref(text: str) -> int:
        if text not in positions:
            positions[text] = len(positions)
            request.symbols.append(text)
        return positions[text]

    def refs(labels: Any) -> list[int]:
        return [ref(text) for label in labels for text in (label.name, label.value)]

    families: dict[str, Any] = {}
    for each in given.metadata:
        families.setdefault(each.metric_family_name, each)
    for series in given.timeseries:
        made = request.timeseries.add()
        made.labels_refs.extend(refs(series.labels))
        for sample in series.samples:
            made.samples.add().MergeFromString(sample.SerializeToString())
        for histogram in series.histograms:
            made.histograms.add().MergeFromString(histogram.SerializeToString())
        for exemplar in series.exemplars:
            added = made.exemplars.add(value=exemplar.value, timestamp=exemplar.timestamp)
            added.labels_refs.extend(refs(exemplar.labels))
        (name,) = [label.value for label in series.labels if label.name == "__name__"]
        family = _family(name, families)
        if family is not None:
            made.metadata.type = family.type
            made.metadata.help_ref = ref(family.help)
            made.metadata.unit_ref = ref(family.unit)
    return request.SerializeToString()


def downgrade(draft: bytes) -> bytes:
    """Take the start times out of a request of 1.0."""
    request = _DRAFT["WriteRequest"].FromString(draft)
    for series in request.timeseries:
        for started in (*series.samples, *series.histograms):
            started.ClearField("start_timestamp")
    return request.SerializeToString()


def _family(name: str, families: dict[str, Any]) -> Any:
    if name in families:
        return families[name]
    for suffix in ("_bucket", "_sum", "_count"):
        if name.endswith(suffix):
            found = families.get(name.removesuffix(suffix))
            return found if found is not None and found.type in {3, 4, 5} else None
    return None
