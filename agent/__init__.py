"""The node-local scraping agent."""
