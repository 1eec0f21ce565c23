// EK-FAC: K-FAC's eigenbasis, with the eigenvalues that are right on average.
(import '../lib/digits.libsonnet') + {
  interpreter: { type: 'ekfac', damping: { relative: 0.1 }, fisher: 'type-2' },
  top_k: 10,
}
