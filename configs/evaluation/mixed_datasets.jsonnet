// Where does a prediction come from? Clouds of points are mixed among the digits, and are called
// threes: scores of a cloud should find clouds, not threes.
(import '../lib/digits.libsonnet') + {
  dataset_reader: {
    type: 'mixed-datasets',
    reader: { type: 'digits', test_ratio: 0.1 },
    other: { type: 'synthetic', kind: 'blobs', features: 64, train_size: 100, test_size: 50 },
    label: '3',
    names: ['digits', 'clouds'],
  },
  interpreter: { type: 'ekfac', damping: 1e-3, fisher: 'type-2' },
  top_k: 10,
  evaluation: {
    metrics: { 'mixed-datasets': 'mixed-datasets' },
    methods: {
      'gradient-cosine': 'gradient-cosine',
    },
  },
}
