// The Gauss-Newton matrix without forming it: queries share the directions of conjugate gradients.
(import '../lib/digits.libsonnet') + {
  interpreter: { type: 'conjugate-gradient', damping: 0.01, method: 'block', tolerance: 1e-6 },
  top_k: 10,
}
