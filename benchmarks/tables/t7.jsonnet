local problems = import 'lib/problems.libsonnet';
local rows = import 'lib/rows.libsonnet';

function(small=false) {
  title: 'T7: a regression: concrete, network 8-128-128-128-1',
  about: |||
    The network of kronfluence's tutorial on UCI concrete (SGD 0.03, 40 epochs, weight decay 1e-5),
    90 % for training. LDS as in T3: 100 subsets, 5 models each, damping chosen on one half of the
    queries. The block of a hidden layer has 16,512 parameters, too many to form: "ggn" works with
    matrices of as many rows as there are examples instead. Beside kronfluence, both have the same
    model, data and damping, and all queries are reported; its EK-FAC draws targets, as
    "monte-carlo" does, where "type-2" is exact.
  |||,
  estimate: '5 minutes',
  report: 'lds',
  runs: [
    {
      name: 'concrete',
      command: 'evaluate',
      config: problems.concrete(small)
              + rows.named([
                'ggn',
                'ekfac',
                'ekfac-heuristic',
                'kfac',
                'kfac-heuristic',
                'diagonal',
                'gradient-cosine',
              ])
              + rows.lds(small),
    },
    {
      name: 'concrete, beside kronfluence at damping 0.01',
      command: 'evaluate',
      damping: 0.01,
      rivals: { 'kronfluence ekfac': { peer: 'kronfluence', method: 'ekfac' } },
      config: problems.concrete(small) + {
        interpreter: { type: 'ekfac', damping: 0.01, fisher: 'monte-carlo' },
        evaluation: {
          metrics: rows.lds(small).evaluation.metrics { lds+: { dampings: null } },
          methods: { 'ekfac-type-2': { type: 'ekfac', damping: 0.01, fisher: 'type-2' } },
        },
      },
    },
  ],
}
