"""The OTLP gateway: doors, enrichment, routes, destinations."""
