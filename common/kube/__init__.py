"""A small Kubernetes client: reflector, informer, credentials."""
