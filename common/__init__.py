"""What gateway, agent and operator share."""
