// Handwritten digits of 8 × 8 pixels (scikit-learn's set), and a small network for them.
// Sizes that the data decide (inputs, outputs) are never written.
{
  dataset_reader: { type: 'digits', test_ratio: 0.1 },
  train_data_path: 'train',
  test_data_path: 'test',
  model: { type: 'mlp', hidden_sizes: [32, 16], activation: 'gelu' },
  objective: 'cross-entropy',
  trainer: {
    optimizer: { type: 'sgd', lr: 0.05, momentum: 0.9 },
    scheduler: 'cosine',
    epochs: 60,
    batch_size: 32,
    weight_decay: 1e-3,
  },
  seed: 0,
}
