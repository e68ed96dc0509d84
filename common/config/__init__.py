"""The configuration documents of gateway and agent."""
