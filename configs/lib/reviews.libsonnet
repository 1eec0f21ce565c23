// Made-up reviews of films, restaurants, hotels and phones, good and bad ones, and a network that
// looks at three words at a time, so that it can learn what a "not" does.
{
  dataset_reader: { type: 'reviews', train_size: 600, test_size: 100 },
  train_data_path: 'train',
  test_data_path: 'test',
  model: { type: 'text-classifier', embedding_size: 16, hidden_size: 16, window: 3 },
  objective: 'cross-entropy',
  trainer: {
    optimizer: { type: 'adam', lr: 0.01 },
    scheduler: 'cosine',
    epochs: 100,
    batch_size: 32,
    weight_decay: 3e-3,
  },
  seed: 0,
}
