// The exact Hessian of the same network, as a dense matrix. Early stopped networks are at no
// minimum, and their Hessian has negative eigenvalues: they are made positive.
(import '../lib/digits.libsonnet') + {
  interpreter: {
    type: 'exact',
    damping: 0.01,
    inversion: { type: 'eigen', negative: 'flip' },
  },
  top_k: 10,
}
