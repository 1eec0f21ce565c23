// LiSSA on a small network: no matrix is formed, all queries recurse together.
(import '../lib/digits.libsonnet') + {
  interpreter: {
    type: 'simple-influence',
    damping: 0.01,
    lissa_batch_size: 64,
    recursion_depth: { steps: 1000 },
  },
  top_k: 10,
}
