// The same without an approximation of the Gauss-Newton matrix: 1,200 outputs are fewer than the
// parameters, so that its inverse is one of 1,200 rows.
(import '../lib/reviews.libsonnet') + {
  interpreter: { type: 'ggn', damping: 0.01 },
  top_k: 10,
}
