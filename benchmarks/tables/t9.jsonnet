local problems = import 'lib/problems.libsonnet';

local methods = {
  'block-ggn': { type: 'block-ggn', damping: 1e-2 },
  ekfac: { type: 'ekfac', damping: 1e-4, fisher: 'type-2' },
  kfac: { type: 'kfac', damping: 1e-4, fisher: 'type-2' },
};

local judged(metrics) = {
  interpreter: { type: 'ggn', damping: 1e-2 },
  evaluation: { metrics: metrics, methods: methods },
};

function(small=false) {
  title: 'T9: brittleness of predictions, and data cleaning',
  about: |||
    Brittleness: the training examples that help a query most are removed, and new models are
    trained; how many predictions flip? Controls remove random examples, of all classes or of the
    query's own. Data cleaning: the training examples that harm the queries of one half most are
    dropped (with 20 % of labels wrong, and with none), and new models are judged on the other half.
  |||,
  estimate: '10 minutes',
  report: 'metrics',
  runs: [
    {
      name: 'brittleness',
      command: 'evaluate',
      config: problems.digits(small, epochs=50) + judged({
        brittleness: {
          type: 'brittleness',
          queries: if small then 3 else 24,
          removed: if small then [10, 40] else [20, 40, 80],
          repeats: if small then 2 else 3,
        },
      }),
    },
    {
      name: 'cleaning digits',
      command: 'evaluate',
      config: problems.digits(small, epochs=50) + judged({
        'data-cleaning': { type: 'data-cleaning', repeats: if small then 2 else 5 },
      }),
    },
    {
      name: 'cleaning digits with 20 % wrong labels',
      command: 'evaluate',
      config: problems.noisy_digits(small, 0.2, 'uniform') + judged({
        'data-cleaning': { type: 'data-cleaning', repeats: if small then 2 else 5 },
      }),
    },
  ],
}
