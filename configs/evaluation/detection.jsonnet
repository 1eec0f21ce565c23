// What scores are of: the query's class, its finer class that the model never saw, its own top ten,
// and the weights of the model. The network only learns whether a digit is below five.
(import '../lib/digits.libsonnet') + {
  dataset_reader: {
    type: 'grouped-labels',
    reader: { type: 'digits', test_ratio: 0.1 },
    groups: {
      low: ['0', '1', '2', '3', '4'],
      high: ['5', '6', '7', '8', '9'],
    },
  },
  interpreter: { type: 'ekfac', damping: 1e-3, fisher: 'type-2' },
  top_k: 10,
  evaluation: {
    metrics: {
      'class-detection': { type: 'class-detection', only_correct: true },
      'subclass-detection': { type: 'subclass-detection', only_correct: true },
      'top-k-overlap': { type: 'top-k-overlap', k: 10 },
      'model-randomisation': { type: 'model-randomisation', seeds: 3 },
    },
    methods: {
      'gradient-cosine': 'gradient-cosine',
    },
  },
}
