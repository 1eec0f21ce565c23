// The same with LiSSA, at the same damping.
(import '../lib/breast_cancer.libsonnet') + {
  interpreter: {
    type: 'simple-influence',
    damping: 1e-3,
    lissa_batch_size: 64,
    recursion_depth: { steps: 4000 },
  },
}
