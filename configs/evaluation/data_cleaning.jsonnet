// Are models better without what is said to harm them? A fifth of the labels is wrong on purpose;
// what one half of the queries finds worst is dropped, and the other half says whether it helped.
(import '../lib/digits.libsonnet') + {
  dataset_reader: {
    type: 'noisy-labels',
    reader: { type: 'digits', test_ratio: 0.1 },
    rate: 0.2,
  },
  trainer: {
    optimizer: { type: 'sgd', lr: 0.01, momentum: 0.9 },
    scheduler: 'cosine',
    epochs: 50,
    batch_size: 32,
  },
  interpreter: { type: 'ekfac', damping: 1e-3, fisher: 'type-2' },
  top_k: 10,
  evaluation: {
    metrics: {
      cleaning: { type: 'data-cleaning', shares: [0.01, 0.02, 0.05, 0.1, 0.2], repeats: 5 },
    },
  },
}
