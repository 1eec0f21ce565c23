"""hessinf beside the other packages for influence functions: the same work, one process each."""
