// K-FAC: a Kronecker product for each layer, damped by a tenth of its mean eigenvalue.
(import '../lib/digits.libsonnet') + {
  interpreter: { type: 'kfac', damping: { relative: 0.1 }, fisher: 'type-2' },
  top_k: 10,
}
