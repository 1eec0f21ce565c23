// Does self-influence find wrong labels? A tenth of the digits is flipped, and influence has to do
// better than the plain training loss and the gradient norm, with three models.
// Class-pair flips: --set dataset_reader.kind=class-pair --set dataset_reader.rate=0.2
(import '../lib/digits.libsonnet') + {
  dataset_reader: {
    type: 'noisy-labels',
    reader: { type: 'digits', test_ratio: 0.1 },
    rate: 0.1,
    kind: 'uniform',
  },
  trainer: {
    optimizer: { type: 'sgd', lr: 0.01, momentum: 0.9 },
    scheduler: 'cosine',
    epochs: 100,
    batch_size: 32,
  },
  interpreter: { type: 'ekfac', damping: 1e-3, fisher: 'type-2' },
  top_k: 10,
  evaluation: {
    metrics: { mislabel: 'mislabel' },
    methods: {
      kfac: { type: 'kfac', damping: 1e-3, fisher: 'type-2' },
    },
    models: 3,
  },
}
