// What misled the model? Half of the threes carry a mark of four white pixels in the upper left
// corner, so that other digits with the mark are taken for threes: the marked threes did that.
(import '../lib/digits.libsonnet') + {
  dataset_reader: {
    type: 'shortcut',
    reader: { type: 'digits', test_ratio: 0.1 },
    label: '3',
    share: 0.5,
    query_share: 0.5,
    features: [0, 1, 8, 9],
    value: 2.0,
  },
  interpreter: { type: 'ekfac', damping: 1e-3, fisher: 'type-2' },
  top_k: 10,
  evaluation: {
    metrics: { 'shortcut-detection': 'shortcut-detection' },
    methods: {
      'gradient-cosine': 'gradient-cosine',
    },
  },
}
