"""How each package is asked for the same scores: one file a package, named after it.

Each has ``METHODS``: by the name of a method, a function that takes a
:class:`~benchmarks.peers.workloads.Workload` and a :class:`~benchmarks.peers.clock.Clock`, and
returns scores ``[Q, N]``, positive where a training example helps a query.
"""
