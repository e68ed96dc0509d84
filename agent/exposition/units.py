"""Units as OpenMetrics spells them, and as UCUM, which OTLP asks for, writes them."""

from __future__ import annotations

_UCUM = {
    b"days": b"d", b"hours": b"h", b"minutes": b"min", b"seconds": b"s", b"milliseconds": b"ms",
    b"microseconds": b"us", b"nanoseconds": b"ns",
    b"bytes": b"By", b"kibibytes": b"KiBy", b"mebibytes": b"MiBy", b"gibibytes": b"GiBy",
    b"tebibytes": b"TiBy", b"kilobytes": b"kBy", b"megabytes": b"MBy", b"gigabytes": b"GBy",
    b"terabytes": b"TBy",
    b"meters": b"m", b"volts": b"V", b"amperes": b"A", b"joules": b"J", b"watts": b"W",
    b"grams": b"g", b"celsius": b"Cel", b"hertz": b"Hz", b"percent": b"%",
}  # fmt: skip


def ucum(word: bytes) -> bytes:
    """Write the unit *word* of a UNIT line as UCUM has it; one that is not in the table stays.

    The table is that of "Prometheus Metric points to OTLP" in the OpenTelemetry specification.
    """
    return _UCUM.get(word, word)
