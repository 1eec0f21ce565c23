// EK-FAC for a regression: which mixtures made the network predict this strength?
(import '../lib/concrete.libsonnet') + {
  interpreter: { type: 'ekfac', damping: { relative: 0.1 }, fisher: 'type-2' },
  top_k: 10,
}
