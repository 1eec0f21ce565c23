// Strictly convex: the exact method predicts what retraining without an example would do.
(import '../lib/breast_cancer.libsonnet') + {
  interpreter: { type: 'exact', damping: 1e-3 },
}
