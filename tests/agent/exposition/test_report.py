"""The report: one value for each of its series."""

from agent.exposition import report


def test_the_values_stand_in_the_order_of_the_series() -> None:
    values = report.Report(up=True, duration=0.25, samples=7, series_added=2).values()
    named = dict(zip((name for name, _ in report.SERIES), values.tolist(), strict=True))
    assert named == {
        b"up": 1.0,
        b"scrape_duration_seconds": 0.25,
        b"scrape_samples_scraped": 7.0,
        b"scrape_samples_post_metric_relabeling": 7.0,
        b"scrape_series_added": 2.0,
    }
    assert report.Report(up=False, duration=0, samples=0, series_added=0).values()[0] == 0
