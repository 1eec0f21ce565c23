// The exact Gauss-Newton matrix, which what is approximated elsewhere is compared with.
(import '../lib/digits.libsonnet') + {
  interpreter: { type: 'ggn', damping: { relative: 0.1 } },
  top_k: 10,
}
