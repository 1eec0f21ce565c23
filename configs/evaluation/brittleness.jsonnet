// Does removing what a prediction rests on change it? Queries of the digits that flip when their
// most helpful examples are removed and new models are trained, beside random removal.
(import '../lib/digits.libsonnet') + {
  trainer: {
    optimizer: { type: 'sgd', lr: 0.01, momentum: 0.9 },
    scheduler: 'cosine',
    epochs: 50,
    batch_size: 32,
  },
  interpreter: { type: 'ekfac', damping: 1e-4, fisher: 'type-2' },
  top_k: 10,
  evaluation: {
    metrics: {
      brittleness: { type: 'brittleness', queries: 24, removed: [20, 80], repeats: 3 },
    },
    methods: {
      kfac: { type: 'kfac', damping: 1e-4, fisher: 'type-2' },
    },
  },
}
