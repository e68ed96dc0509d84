"""Which pods and Services are scraped, and why the others are not."""
