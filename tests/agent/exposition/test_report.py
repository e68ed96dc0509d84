"""The report: one value for each of its series."""

from agent.exposition import report


def test_the_values_stand_in_the_order_of_the_series() -> None:
    values = report.Report(up=True, duration=0.25, samples=7, kept=5, series_added=2).values()
    named = dict(zip((name for name, _ in report.SERIES), values.tolist(), strict=True))
    assert named == {
        b"up": 1.0,
        b"scrape_duration_seconds": 0.25,
        b"scrape_samples_scraped": 7.0,
        b"scrape_samples_post_metric_relabeling": 5.0,
        b"scrape_series_added": 2.0,
    }
    assert report.Report(up=False, duration=0, samples=0, kept=0, series_added=0).values()[0] == 0


def test_further_values_come_behind_the_others() -> None:
    told = report.Report(
        up=False, duration=0, samples=0, kept=0, series_added=0, body_bytes=report.TOO_LARGE
    )
    values = told.values(report.Terms(timeout=9.5, sample_limit=100)).tolist()
    assert values[len(report.SERIES) :] == [9.5, 100.0, -1.0]
    assert len(values) == len(report.SERIES) + len(report.EXTRA)
