// One review in twenty has the wrong label, on purpose: which ones? See self_influence.jsonl.
local clean = import '../lib/reviews.libsonnet';
clean + {
  dataset_reader: { type: 'noisy-labels', reader: clean.dataset_reader, rate: 0.05 },
  interpreter: { type: 'ekfac', damping: 0.01 },
  top_k: 10,
}
