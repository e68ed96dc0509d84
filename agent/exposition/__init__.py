"""From exposition text to OTLP bytes, by shapes learnt once."""
