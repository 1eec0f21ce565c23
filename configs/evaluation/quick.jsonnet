// How good are three methods on wines? Thirty models are trained on halves of the training data: a
// few seconds. `hessinf evaluate configs/evaluation/quick.jsonnet -s runs/quick`
{
  dataset_reader: { type: 'wine', test_ratio: 0.2, dtype: 'float64' },
  train_data_path: 'train',
  test_data_path: 'test',
  model: { type: 'logistic-regression', dtype: 'float64' },
  objective: 'cross-entropy',
  trainer: { optimizer: 'lbfgs', epochs: 200, gradient_tolerance: 1e-7, weight_decay: 0.02 },
  interpreter: { type: 'exact', damping: 1e-3 },
  evaluation: {
    metrics: { lds: { type: 'lds', subsets: 30 } },
    methods: {
      ekfac: { type: 'ekfac', damping: 1e-3 },
      cosine: 'gradient-cosine',
    },
  },
  seed: 0,
}
