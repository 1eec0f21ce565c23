// How much worse are strengths predicted without the mixtures that are said to help most?
(import '../lib/concrete.libsonnet') + {
  interpreter: { type: 'ekfac', damping: 1e-3, fisher: 'type-2' },
  top_k: 10,
  evaluation: {
    metrics: {
      difference: { type: 'query-loss-difference', queries: 16, share: 0.01, repeats: 3 },
    },
    methods: {
      kfac: { type: 'kfac', damping: 1e-3, fisher: 'type-2' },
    },
  },
}
