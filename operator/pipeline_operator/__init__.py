"""The operator: MetricPipelines in, objects out."""
