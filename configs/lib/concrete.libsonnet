// The strength of concrete (UCI; `pip install "hessinf[data]"`, or give the table as `file`), and
// the network of kronfluence's example: inputs and strength standardized, 927 mixtures to train on.
{
  dataset_reader: { type: 'concrete', test_ratio: 0.1, standardize_target: true },
  train_data_path: 'train',
  test_data_path: 'test',
  model: { type: 'mlp', hidden_sizes: [128, 128, 128], activation: 'relu' },
  objective: 'mean-squared-error',
  trainer: {
    optimizer: { type: 'sgd', lr: 0.03 },
    epochs: 40,
    batch_size: 32,
    weight_decay: 1e-5,
  },
  seed: 0,
}
