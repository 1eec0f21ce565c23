// Curvatures of a small network, in a few seconds: every kind that there is.
{
  dataset_reader: { type: 'synthetic', kind: 'ring', train_size: 60, test_size: 20, data_seed: 0 },
  train_data_path: 'train',
  test_data_path: 'test',
  model: { type: 'mlp', hidden_sizes: [8, 4], activation: 'tanh', dtype: 'float64' },
  objective: 'cross-entropy',
  trainer: { optimizer: 'lbfgs', epochs: 100, weight_decay: 0.01 },
  analysis: {
    reference: 'hessian',
    approximations: {
      ggn: 'ggn',
      'block-hessian': 'block-hessian',
      'block-ggn': 'block-ggn',
      'block-ggn-by-parameter': { type: 'block-ggn', blocks: 'parameter' },
      ekfac: { type: 'ekfac', fisher: 'type-2' },
      kfac: { type: 'kfac', fisher: 'type-2' },
      'empirical-fisher': 'empirical-fisher',
      'kfac-empirical': { type: 'kfac', fisher: 'empirical' },
      diagonal: 'diagonal',
      'diagonal-estimated': 'hutchinson-hessian',
    },
    top_k: 5,
  },
  seed: 0,
}
