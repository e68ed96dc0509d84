"""What people and tools may ask an agent about its targets: values, and HTML. Pure."""
