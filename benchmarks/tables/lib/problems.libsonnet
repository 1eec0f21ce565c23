// The problems that tables are about. "small" makes each of them a matter of seconds, to try a
// table: its numbers then say nothing.
{
  // Handwritten digits and the network 64-32-16-10 of 2,778 parameters.
  digits(small, hidden=[32, 16], epochs=100, weight_decay=0):: {
    dataset_reader:
      if small then { type: 'digits', test_ratio: 0.02, train_size: 160 }
      else { type: 'digits', test_ratio: 0.1 },
    train_data_path: 'train',
    test_data_path: 'test',
    model: { type: 'mlp', hidden_sizes: if small then [8] else hidden, activation: 'gelu' },
    objective: 'cross-entropy',
    trainer: {
      optimizer: { type: 'sgd', lr: if small then 0.05 else 0.01, momentum: 0.9 },
      scheduler: 'cosine',
      epochs: if small then 20 else epochs,
      batch_size: 32,
      weight_decay: weight_decay,
    },
    seed: 0,
    device: 'cpu',
  },

  // Digits with wrong labels.
  noisy_digits(small, rate, kind):: $.digits(small, epochs=50) + {
    dataset_reader: {
      type: 'noisy-labels',
      reader: $.digits(small).dataset_reader,
      rate: rate,
      kind: kind,
    },
  },

  // Softmax regression on digits, at its minimum: strictly convex.
  convex_digits(small):: {
    dataset_reader: $.digits(small).dataset_reader + { dtype: 'float64' },
    train_data_path: 'train',
    test_data_path: 'test',
    model: { type: 'logistic-regression', dtype: 'float64' },
    objective: 'cross-entropy',
    trainer: {
      optimizer: 'lbfgs',
      epochs: 2000,
      gradient_tolerance: 1e-8,
      weight_decay: 0.01,
    },
    seed: 0,
    device: 'cpu',
  },

  // MNIST, 4,500 training examples and 500 queries, trained as dattri's benchmark trains.
  mnist(small, hidden, epochs, momentum):: {
    dataset_reader:
      if small then { type: 'mnist-5k', test_ratio: 0.01, train_size: 150 }
      else { type: 'mnist-5k', test_ratio: 0.1 },
    train_data_path: 'train',
    test_data_path: 'test',
    model:
      if hidden == null then 'logistic-regression'
      else { type: 'mlp', hidden_sizes: if small then [4] else hidden, activation: 'relu' },
    objective: 'cross-entropy',
    trainer: {
      optimizer: { type: 'sgd', lr: 0.01, momentum: momentum },
      epochs: if small then 3 else epochs,
      batch_size: 64,
      weight_decay: 0,
    },
    seed: 0,
    device: 'cpu',
  },

  // Strength of concrete; the network of kronfluence's tutorial unless another is given.
  concrete(small, hidden=[128, 128, 128], weight_decay=1e-5, lr=0.03, epochs=40):: {
    dataset_reader: {
      type: 'concrete',
      test_ratio: if small then 0.03 else 0.1,
      standardize_target: true,
    } + (if small then { train_size: 150 } else {}),
    train_data_path: 'train',
    test_data_path: 'test',
    model: { type: 'mlp', hidden_sizes: if small then [4, 4] else hidden, activation: 'relu' },
    objective: 'mean-squared-error',
    trainer: {
      optimizer: { type: 'sgd', lr: lr, momentum: 0 },
      epochs: if small then 5 else epochs,
      batch_size: 32,
      weight_decay: weight_decay,
    },
    seed: 0,
    device: 'cpu',
  },
}
