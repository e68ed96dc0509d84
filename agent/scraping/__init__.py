"""When to scrape, how to fetch, and the loop around both."""
