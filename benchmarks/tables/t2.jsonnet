local problems = import 'lib/problems.libsonnet';
local rows = import 'lib/rows.libsonnet';

function(small=false) {
  title: 'T2: leave-one-out on digits, softmax regression with L2',
  about: |||
    The change of each query's loss when a training example is left out and the model is trained
    again, exactly, beside what methods predict at damping 0 (approximations: 0.001). "r" is
    Pearson's correlation over all pairs of a query and an example; the true change is slope times
    the predicted one plus the intercept. "refined" is the loss after one Newton step, evaluated.
    dattri publishes a correlation of 0.875 for MNIST, without weight decay and before convergence.
  |||,
  estimate: '1 minute',
  report: 'metrics',
  runs: [
    {
      name: 'digits',
      command: 'evaluate',
      config: problems.convex_digits(small) + {
        interpreter: { type: 'exact', damping: 0 },
        evaluation: {
          metrics: {
            'leave-one-out': {
              type: 'leave-one-out',
              examples: if small then 20 else null,
              resamples: if small then 100 else 1000,
            },
          },
          methods: {
            ggn: { type: 'ggn', damping: 0 },
            kfac: { type: 'kfac', damping: 0.001, fisher: 'type-2' },
            ekfac: { type: 'ekfac', damping: 0.001, fisher: 'type-2' },
            'simple-influence': {
              type: 'simple-influence',
              damping: 0.001,
              lissa_batch_size: 64,
              recursion_depth: if small then 2.0 else 200.0,
            },
          },
        },
      },
    },
  ],
}
