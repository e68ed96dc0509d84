"""Texts that targets expose one after the other; ``@n`` stands for the n-th of ascending times.

All are in the past; ``@+`` stands for one that is too far in the future.
"""

VANISHING = [
    'a{n="1"} 1\na{n="2"} 2\nb 3\n',
    'a{n="1"} 1\nb 3\n',
    'a{n="1"} 1\nb 3\n',
    'a{n="1"} 1\na{n="2"} 4\n',
    'b 5\na{n="2"} 4\n',
    "",
    'a{n="1"} 6\nc 1\n',
    'c 1\na{n="1"} 6\n',  # another order
    'c{} 1\na{n="1",} 6\n',  # another spelling
    'c{x=""} 1\na{n="1"} 6\n',
    "d 1\n",
    "e 1\nd 2\n",
]
RETYPED = [
    "# TYPE retyped_m counter\n# HELP retyped_m First.\nretyped_m 1\n",
    "# TYPE retyped_m counter\n# HELP retyped_m First.\nretyped_m 2\n",
    "# TYPE retyped_m gauge\n# HELP retyped_m First.\nretyped_m 3\n",
    "# TYPE retyped_m gauge\n# HELP retyped_m Second, \\\\ and\\nlines.\nretyped_m 4\n",
    "retyped_m 5\n",
    "# TYPE retyped_m untyped\nretyped_m 6\n",
    '# TYPE retyped_m summary\nretyped_m{quantile="0.5"} 7\nretyped_m_sum 1\nretyped_m_count 2\n',
    "# TYPE retyped_m gauge\nretyped_m 8\n",
    (
        '# TYPE retyped_m histogram\nretyped_m_bucket{le="+Inf"} 2\nretyped_m_sum 9\n'
        "retyped_m_count 2\n"
    ),
    # Of the same names, but no histogram any more.
    (
        '# TYPE retyped_m_bucket gauge\nretyped_m_bucket{le="+Inf"} 3\n'
        "# TYPE retyped_m_sum gauge\nretyped_m_sum 9\n# TYPE retyped_m_count gauge\n"
        "retyped_m_count 3\n"
    ),
    "# TYPE retyped_m gauge\n# HELP retyped_m Last.\nretyped_m 10\n",
]
TIMED = [
    "t 1 @0\nu 1 @5\nalways 1\n",
    "t 2 @1\nu 1 @5\nalways 1\n",  # newer; the same
    "t 3 @1\nu 2 @5\nalways 2\n",  # the same time with another value
    "t 4 @0\nu 3 @4\nalways 3\n",  # older
    "t 5 @2\nalways 3\n",  # gone: no marker
    "always 4\n",
    "t 6 @3\nu 4 @6\nalways 5\n",  # back
    "t 7 @2\nu 5 @7\nalways 6\n",  # older again
    "t 8 @4\nu 6 @8\nalways 6\n",
    "always 7\nfar 1 @+\n",  # too far in the future
    "u 7 @6\nalways 8\n",  # back, but older than it was
    "u 8 @9\nv 1 @3\nalways 9\n",  # an old one that nobody has seen before
]
MIXED = [
    "m 1\nn 1 @0\n",
    "m 1\nn 2\n",  # n from now on with the scrape's time
    "m 2 @1\nn 3\n",  # m older than it was
    "m 3\nn 4 @2\n",
    "m 4\nn 5\n",
    "m 5\nx 1\n",
    "m 6\nn 6 @3\nx 1 @3\n",  # n comes back older than its marker
    "m 7\n",
]
TWICE = [
    "d 1\nd 1\ne 1\n",
    "d 1\ne 1\nd 2\n",
    'd 2\nd 3\nd 4\nf{a="1",b="2"} 1\nf{b="2",a="1"} 2\n',
    "g 1 @0\ng 2 @1\ng 3 @2\n",  # of different times each
    "g 3 @2\ng 4 @3\ng 2 @1\n",
    'd 5\nd{} 6\nd{x=""} 7\n',
    "# TYPE d counter\nd 8\n# TYPE d gauge\nd 9\n",
]
SPECIAL = [
    "s NaN\n",
    "s nan\n",
    "s +Inf\n",
    "s -inf\n",
    "s Infinity\n",
    "s -0\n",
    "s 0\n",
    "s 5e-324\n",
    "s 1.7976931348623157e308\n",
    "s 0.30000000000000004\n",
    "s 9007199254740993\n",
    "s 123456789012345678901234567890\n",
    "s .5\n",
    "s 5.\n",
    "s +1E+3\n",
    "# TYPE s counter\ns NaN\n",
]
CONFLICTING = [
    'c{job="mine"} 1\nc{instance="i"} 2\nc{zone="t"} 3\n',
    (
        'c{job="mine",exported_job="x"} 1\n'
        'c{job="mine",exported_job="x",exported_exported_job="y"} 2\n'
        'c{exported_job="x"} 3\n'
    ),
    'c{job="",instance="",zone=""} 1\nd{job="a",kept="1"} 2\n',
    'd{job="a",kept="1"} 3\nd{job="b",kept="1"} 3\n',
    'up{job="mine"} 7\nscrape_samples_scraped{job="mine"} 8\n',
    '# TYPE h histogram\nh_bucket{job="a",le="+Inf"} 1\nh_count{job="a"} 1\nh_sum{job="a"} 2\n',
    'c{service="s",namespace="n"} 1\n',
]
COMPOSITES = [
    (
        "# HELP composites_h About it.\n# TYPE composites_h histogram\n"
        'composites_h_bucket{le="0.1"} 1\ncomposites_h_bucket{le="1"} 2\n'
        'composites_h_bucket{le="2.0"} 2\ncomposites_h_bucket{le="1e6"} 3\n'
        'composites_h_bucket{le="+Inf"} 3\ncomposites_h_sum 4.5\ncomposites_h_count 3\n'
    ),
    # A bucket more, and one that is gone.
    (
        "# HELP composites_h About it.\n# TYPE composites_h histogram\n"
        'composites_h_bucket{le="0.1"} 1\ncomposites_h_bucket{le="0.5"} 1\n'
        'composites_h_bucket{le="2.0"} 2\ncomposites_h_bucket{le="1e6"} 3\n'
        'composites_h_bucket{le="+Inf"} 4\ncomposites_h_sum 4.5\ncomposites_h_count 4\n'
    ),
    # Without a sum.
    (
        '# TYPE composites_h histogram\ncomposites_h_bucket{le="0.1"} 1\n'
        'composites_h_bucket{le="+Inf"} 4\ncomposites_h_count 4\n'
    ),
    (
        "# HELP composites_s About it.\n# TYPE composites_s summary\n"
        'composites_s{quantile="0.5"} 1\ncomposites_s{quantile="0.99"} NaN\n'
        "composites_s_sum 3.5\ncomposites_s_count 2\n"
    ),
    (
        '# TYPE composites_s summary\ncomposites_s{quantile="0.5"} 2\n'
        'composites_s{quantile="1"} 3\ncomposites_s_sum 3.5\ncomposites_s_count 3\n'
    ),
    (
        '# TYPE composites_s summary\ncomposites_s_sum{l="a"} 3.5\ncomposites_s_count{l="a"} 3\n'
        'composites_s_sum{l="b"} 1\ncomposites_s_count{l="b"} 1\n'
    ),
    # Two of a family, interleaved.
    (
        "# TYPE composites_h histogram\n"
        'composites_h_bucket{l="a",le="1"} 1\ncomposites_h_bucket{l="b",le="1"} 1\n'
        'composites_h_bucket{l="a",le="+Inf"} 1\ncomposites_h_bucket{l="b",le="+Inf"} 2\n'
        'composites_h_sum{l="a"} 1\ncomposites_h_sum{l="b"} 1\n'
        'composites_h_count{l="a"} 1\ncomposites_h_count{l="b"} 2\n'
    ),
    (
        "# TYPE composites_h histogram\n"
        'composites_h_bucket{l="b",le="1"} 1\ncomposites_h_bucket{l="b",le="+Inf"} 2\n'
        'composites_h_sum{l="b"} 1\ncomposites_h_count{l="b"} 2\n'
    ),
]
SPACED = [
    '# a comment\n\n   \n# TYPE  sp\tgauge\n# HELP sp   Two  words\nsp{a = "b" , }   1   \n',
    'sp\t{a="b"}\t2\t\n#nothing\n# TYPE sp gauge\n',
    'sp{a="b"} 3',  # no line end
    'esc{a="q\\"uote",b="back\\\\slash",c="new\\nline",d="odd\\q"} 1\n',
    'letters{a="ä☃日本",b=" , } ",c="# {"} 1\n',
    "with:colon 1\n_under 2\n",
]
