// Do scores predict what models trained on half of the digits do? 300 models are trained at once,
// three for each of 100 halves; each method's damping is chosen on one half of the queries, and all
// rows are reported on the other.
(import '../lib/digits.libsonnet') + {
  trainer: {
    optimizer: { type: 'sgd', lr: 0.01, momentum: 0.9 },
    scheduler: 'cosine',
    epochs: 100,
    batch_size: 32,
  },
  interpreter: { type: 'ekfac', fisher: 'type-2' },
  evaluation: {
    metrics: {
      lds: {
        type: 'lds',
        alphas: [0.5],
        subsets: 100,
        repeats: 3,
        dampings: [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1],
      },
    },
    methods: {
      'block-ggn': 'block-ggn',
      kfac: { type: 'kfac', fisher: 'type-2' },
    },
  },
}
