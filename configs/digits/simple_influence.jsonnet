// LiSSA on a small network: no matrix is formed, all queries recurse together.
(import '../lib/digits.libsonnet') + {
  interpreter: {
    type: 'simple-influence',
    damping: 0.03,
    lissa_batch_size: 64,
    recursion_depth: { steps: 600 },
  },
  top_k: 10,
}
