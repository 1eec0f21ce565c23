// Handwritten digits of which one in twenty has a wrong label, on purpose: who finds them?
// The report's list of examples that may be mislabelled ranks them by self-influence.
local digits = import '../lib/digits.libsonnet';

digits {
  dataset_reader: {
    type: 'noisy-labels',
    reader: digits.dataset_reader,
    rate: 0.05,
    noise_seed: 0,
  },
  interpreter: { type: 'ekfac', damping: { relative: 0.1 }, fisher: 'type-2' },
  top_k: 10,
}
