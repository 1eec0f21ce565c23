local problems = import 'lib/problems.libsonnet';

local run(name, small, rate, kind) = {
  name: name,
  command: 'evaluate',
  config: problems.noisy_digits(small, rate, kind) + {
    interpreter: { type: 'ekfac', damping: 1e-3, fisher: 'type-2' },
    evaluation: {
      metrics: { mislabel: { type: 'mislabel', resamples: if small then 100 else 1000 } },
      methods: {
        kfac: { type: 'kfac', damping: 1e-3, fisher: 'type-2' },
        'block-ggn': { type: 'block-ggn', damping: 1e-2 },
        ggn: { type: 'ggn', damping: 1e-2 },
        diagonal: { type: 'diagonal', damping: 1e-3, fisher: 'type-2' },
      },
      models: if small then 2 else 3,
    },
  },
};

function(small=false) {
  title: 'T8: finding wrong labels on digits',
  about: |||
    Labels of some training examples are changed, a network is trained on them, and its training
    examples are ranked by their influence on themselves. "loss" and "gradient-norm" are the
    baselines that need no curvature: plain training loss, and the squared norm of the gradient.
    Means over 3 models; "recall" is the share of changed labels among as many examples as were
    changed.
  |||,
  estimate: '3 minutes',
  report: 'metrics',
  runs: [
    run('10 % uniform', small, 0.1, 'uniform'),
    run('30 % uniform', small, 0.3, 'uniform'),
    run('20 % to the next class', small, 0.2, 'class-pair'),
  ],
}
