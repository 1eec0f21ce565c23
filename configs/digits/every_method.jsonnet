// Every method on one model, for `hessinf compare`: what each costs, and how far they agree. One
// damping for all of them: it says little about quality (configs/evaluation/lds.jsonnet does).
local damped(name, arguments={}) = { type: name, damping: 1e-3 } + arguments;

(import '../lib/digits.libsonnet') + {
  interpreter: damped('ggn'),
  evaluation: {
    metrics: { overlap: 'top-k-overlap' },
    methods: {
      [name]: damped(name)
      for name in [
        'exact',
        'block-ggn',
        'block-hessian',
        'kfac',
        'ekfac',
        'diagonal',
        'conjugate-gradient',
        'arnoldi',
        'nystroem',
        'simple-influence',
      ]
    } + {
      'ekfac-and-10-steps': damped('conjugate-gradient', { preconditioner: 'ekfac', steps: 10 }),
      'gradient-dot': 'gradient-dot',
      'gradient-cosine': 'gradient-cosine',
    },
  },
}
