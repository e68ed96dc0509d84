"""Examples of every rule of OpenMetrics 1.0: what keeps it, and what breaks it."""

from __future__ import annotations

from tests.conformance.openmetrics import rules

_EOF = b"# EOF\n"


def _with_end(*bodies: bytes) -> list[bytes]:
    return [body + _EOF for body in bodies]


_GOOD = b"1 -1.5 .5 1e9 +Inf -Inf NaN 007".split()
_BAD = b"one 1_0 0x1p1 1e999 - 1,5 #".split()

KEPT: dict[str, list[bytes]] = {
    "the end is # EOF, with or without a newline": [b"# EOF", b"# EOF\n", b"up 1\n# EOF"],
    "one space stands between tokens": _with_end(
        b"up 1\n", b"up{} 1 2\n", b'# TYPE up counter\nup_total{a="b"} 1 2 # {} 3 4\n'
    ),
    "types": _with_end(
        b"# TYPE jobs counter\njobs_total 7\njobs_created 1.5\n",
        b"# TYPE heat gauge\nheat -7.5\n",
        b'# TYPE wait histogram\nwait_bucket{le="+Inf"} 2\nwait_count 2\nwait_sum 1\n',
        b'# TYPE wait gaugehistogram\nwait_bucket{le="+Inf"} 2\nwait_gcount 2\nwait_gsum 1\n',
        b'# TYPE wait summary\nwait{quantile="0.5"} NaN\nwait_count 0\nwait_sum 0\n',
        b'# TYPE build info\nbuild_info{version="1"} 1\n',
        b'# TYPE door stateset\ndoor{door="open"} 1\ndoor{door="shut"} 0\n',
        b"# TYPE odd unknown\nodd 1\n",
    ),
    "units end the name": _with_end(
        b"# TYPE a_bytes gauge\n# UNIT a_bytes bytes\n", b"# UNIT a \n"
    ),
    "escapes": _with_end(b'# HELP a \\\\ \\n \\" \\z\n', b'a{b="\\\\ \\n \\" \\z"} 1\n'),
    "names in quotes": _with_end(
        b'# TYPE "my.jobs" counter\n{"my.jobs_total"} 1\n', '{"größe","der teil"="é"} 1\n'.encode()
    ),
    "values": _with_end(*(b"a %s\n" % value for value in _GOOD)),
    "timestamps are seconds": _with_end(b"a 1 0\n", b"a 1 1700000000.123456\n", b"a 1 1.7e9\n"),
    "exemplars": _with_end(
        b'# TYPE a counter\na_total 1 # {id="7"} 0.5\n',
        b'# TYPE a counter\na_total 1 2 # {id=" # {",x="}"} NaN 1.25\n',
        b'# TYPE a counter\na_total 1 # {id="' + b"x" * 126 + b'"} 1\n',
    ),
}

REFUSED: dict[str, list[bytes]] = {
    "the end is # EOF": [b"up 1\n", b"up 1", b"# EOF\nup 1\n", b"# EOF\n\n", b"#EOF\n"],
    "one space stands between tokens": _with_end(
        b"up  1\n", b"up\t1\n", b" up 1\n", b"up 1 \n", b"up 1  2\n", b"up {} 1\n", b"up{}1\n",
        b'up{ a="b"} 1\n', b'up{a="b" } 1\n', b'up{a = "b"} 1\n', b'up{a="b", c="d"} 1\n',
        b"up 1  # {} 2\n", b"up 1 #{} 2\n", b"up 1 # {}  2\n", b"up 1\r\n",
    ),
    "no blank lines and no other comments": _with_end(
        b"# EOF \n", b"\n", b"up 1\n\n", b"# hello\n", b"#\n"
    ),
    "types are eight words": _with_end(
        b"# TYPE a untyped\n", b"# TYPE a Gauge\n", b"# TYPE a \n", b"# TYPE a\n"
    ),
    "units end the name": _with_end(
        b"# UNIT a_seconds s\n", b"# UNIT bytes bytes\n", b"# UNIT a\n"
    ),
    "labels": _with_end(
        b"up{a} 1\n", b"up{a=b} 1\n", b"up{a='b'} 1\n", b'up{a="b} 1\n', b'up{a="b\n"} 1\n',
        b'up{a="b"c="d"} 1\n', b'up{,a="b"} 1\n', b'up{a="b",,} 1\n', b'up{1="b"} 1\n',
        b'up{a="b",a="c"} 1\n', b'up{a="\xff"} 1\n',
    ),
    "names": _with_end(b"1up 1\n", b"{} 1\n", b'{a="b"} 1\n', b'up{"up"} 1\n', b'{"\xff"} 1\n'),
    "values": _with_end(*(b"a %s\n" % value for value in _BAD), b"a\n"),
    "timestamps are finite": _with_end(b"a 1 NaN\n", b"a 1 Inf\n", b"a 1 now\n", b"a 1 2 3\n"),
    "exemplars": _with_end(
        b"a 1 # {}\n", b"a 1 # 2\n", b"a 1 # {} one\n", b"a 1 # {} 2 NaN\n", b"a 1 # {} 2 Inf\n",
        b"a 1 # {} 2 3 4\n", b'a 1 # {"b"} 2\n', b"a 1 # {b} 2\n", b"a 1 # {} 2 # {} 3\n",
    ),
}  # fmt: skip

TAKEN: dict[str, list[bytes]] = {
    rules.END: [b""],
    rules.COMMA: _with_end(b'up{a="b",} 1\n'),
    rules.METADATA: _with_end(
        b"# TYPE a gauge\n# TYPE a gauge\n", b"# HELP a b\n# HELP a c\n", b"a 1\n# TYPE a gauge\n"
    ),
    rules.NAMES: _with_end(b"# TYPE a_total gauge\n# TYPE a counter\n"),
    rules.INTERLEAVED: _with_end(
        b"# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\n",
        b'# TYPE a gauge\na{b="1"} 1 1\na{b="2"} 1 1\na{b="1"} 1 2\n',
    ),
    rules.SUFFIX: _with_end(b"# TYPE a counter\na 1\n", b"# TYPE a info\na 1\n"),
    rules.LABELS: _with_end(
        b"# TYPE a summary\na 1\n",
        b'# TYPE a summary\na{quantile="2"} 1\n',
        b"# TYPE a stateset\na 1\n",
        b'# TYPE a histogram\na_bucket{le="+INF"} 1\n',
    ),
    rules.VALUES: _with_end(
        b"# TYPE a counter\na_total -1\n",
        b"# TYPE a counter\na_total NaN\n",
        b"# TYPE a info\na_info 2\n",
        b'# TYPE a stateset\na{a="b"} 2\n',
        b"# TYPE a summary\na_count -1\n",
    ),
    rules.HISTOGRAM: _with_end(
        b'# TYPE a histogram\na_bucket{le="1.0"} 1\n',
        b'# TYPE a histogram\na_bucket{le="1.0"} 2\na_bucket{le="+Inf"} 1\n',
        b'# TYPE a histogram\na_bucket{le="2.0"} 1\na_bucket{le="1.0"} 1\na_bucket{le="+Inf"} 1\n',
        b'# TYPE a histogram\na_bucket{le="+Inf"} 1\na_count 1\n',
        b'# TYPE a histogram\na_bucket{le="+Inf"} 1\na_count 2\na_sum 1\n',
        b'# TYPE a histogram\na_bucket{le="-1.0"} 1\na_bucket{le="+Inf"} 1\na_count 1\na_sum 1\n',
    ),
    rules.EXEMPLAR: _with_end(
        b"# TYPE a gauge\na 1 # {} 1\n",
        b'# TYPE a counter\na_total 1 # {id="' + b"x" * 127 + b'"} 1\n',
        b"# TYPE a counter\na_created 1 # {} 1\n",
    ),
    rules.TIMES: _with_end(b"# TYPE a gauge\na 1 2\na 1 1\n", b"# TYPE a gauge\na 1\na 1 1\n"),
    rules.UNIT: _with_end(b"# TYPE a_s info\n# UNIT a_s s\n"),
}
