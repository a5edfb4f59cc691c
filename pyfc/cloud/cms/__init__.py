"""CloudMonitor: the metrics of functions, for its own clients."""
