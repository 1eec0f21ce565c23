// Which points of two moons made a small network decide as it does?
{
  include: ['hessinf_label_similarity'],
  dataset_reader: { type: 'two-moons', train_size: 200, test_size: 10, noise: 0.2 },
  train_data_path: 'train',
  test_data_path: 'test',
  model: { type: 'mlp', hidden_sizes: [16], activation: 'tanh' },
  objective: 'cross-entropy',
  trainer: { optimizer: { type: 'sgd', lr: 0.1, momentum: 0.9 }, epochs: 50, batch_size: 20, weight_decay: 1e-3 },
  interpreter: { type: 'label-similarity' },
  top_k: 5,
  seed: 0,
}
