// A worked example: a noisy ring of 60 points, a network of 33 parameters trained to its minimum,
// and the exact Hessian, so that predicted loss changes can be compared with real retraining.
{
  dataset_reader: { type: 'synthetic', kind: 'ring', train_size: 60, test_size: 20, data_seed: 0 },
  train_data_path: 'train',
  test_data_path: 'test',
  model: { type: 'mlp', hidden_sizes: [8], activation: 'tanh', dtype: 'float64' },
  objective: 'binary-cross-entropy',
  trainer: {
    optimizer: 'lbfgs',
    epochs: 2000,
    gradient_tolerance: 1e-9,
    // A penalty of 0.02·‖θ‖² is ½·0.04·‖θ‖².
    weight_decay: 0.04,
  },
  interpreter: { type: 'exact', damping: 0 },
  top_k: 10,
  seed: 42,
}
