// Softmax regression of digits, trained again exactly without each of its 1,617 examples, and what
// each method predicted. Weight decay makes the optimum unique; it is a part of the curvature, so
// that no damping is needed.
(import '../lib/digits.libsonnet') + {
  dataset_reader: { type: 'digits', test_ratio: 0.1, dtype: 'float64' },
  model: { type: 'logistic-regression', dtype: 'float64' },
  trainer: { optimizer: 'lbfgs', epochs: 2000, gradient_tolerance: 1e-9, weight_decay: 1e-3 },
  interpreter: { type: 'exact', damping: 0 },
  evaluation: {
    metrics: {
      'leave-one-out': 'leave-one-out',
      'leave-some-out': 'leave-some-out',
    },
    methods: {
      ggn: { type: 'ggn', damping: 0 },
      ekfac: { type: 'ekfac', damping: 0 },
      kfac: { type: 'kfac', damping: 0 },
      lissa: { type: 'simple-influence', damping: 0, recursion_depth: { steps: 5000 } },
    },
  },
}
