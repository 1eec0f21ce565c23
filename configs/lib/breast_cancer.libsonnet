// Wisconsin breast cancer (scikit-learn's set): logistic regression, trained to its minimum.
{
  dataset_reader: { type: 'breast-cancer', test_ratio: 0.1, dtype: 'float64' },
  train_data_path: 'train',
  test_data_path: 'test',
  model: { type: 'logistic-regression', dtype: 'float64' },
  objective: 'cross-entropy',
  trainer: {
    optimizer: 'lbfgs',
    epochs: 500,
    gradient_tolerance: 1e-9,
    weight_decay: 0.01,
  },
  seed: 0,
}
