// What each removal does to a loss, by a Newton step without the example instead of to first order.
(import '../lib/breast_cancer.libsonnet') + {
  interpreter: { type: 'exact', damping: 0, refinement: 'newton-step' },
}
