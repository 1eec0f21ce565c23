// Which reviews does the model have its judgement from, and which of their words?
(import '../lib/reviews.libsonnet') + {
  interpreter: { type: 'ekfac', damping: 0.01 },
  top_k: 10,
}
