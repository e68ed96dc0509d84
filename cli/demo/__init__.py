"""One machine that shows the whole product: cluster, workloads, gateway, agents, sink."""
