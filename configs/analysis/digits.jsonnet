// The steps from the Hessian to K-FAC, on the network of 2,778 parameters for handwritten digits:
// about a minute of one core.
(import '../lib/digits.libsonnet') + {
  analysis: {
    reference: 'hessian',
    approximations: {
      ggn: 'ggn',
      'block-ggn': 'block-ggn',
      ekfac: { type: 'ekfac', fisher: 'type-2' },
      kfac: { type: 'kfac', fisher: 'type-2' },
    },
    dampings: [1e-4, 1e-3, 1e-2],
    thresholds: [1e-6, 1e-4],
  },
}
