local problems = import 'lib/problems.libsonnet';
local rows = import 'lib/rows.libsonnet';

// One damping for all, so that packages are given the same work.
local beside(name, problem, small) = {
  name: name + ', beside dattri and kronfluence at damping 0.01',
  command: 'evaluate',
  damping: 0.01,
  rivals: {
    'dattri ekfac': { peer: 'dattri', method: 'ekfac' },
    'dattri trak': { peer: 'dattri', method: 'trak' },
    'kronfluence ekfac': { peer: 'kronfluence', method: 'ekfac' },
  },
  config: problem + {
    interpreter: { type: 'ekfac', damping: 0.01, fisher: 'type-2' },
    evaluation: {
      metrics: rows.lds(small, repeats=1).evaluation.metrics {
        lds+: { dampings: null },
      },
      methods: {
        kfac: { type: 'kfac', damping: 0.01, fisher: 'type-2' },
      },
    },
  },
};

function(small=false) {
  title: 'T6: MNIST, softmax regression and a network, beside published numbers',
  about: |||
    4,500 training examples, 500 queries, 100 half-subsets with one model each, and the training of
    dattri's benchmark (softmax regression: SGD 0.01, 20 epochs; network 784-128-64-10: SGD 0.01
    with momentum 0.9, 50 epochs; here without dropout). dattri publishes, for another 5,000
    examples of MNIST and with damping chosen on the queries that are reported: softmax regression
    0.798 (explicit and CG), 0.330 (TracIn), 0.681 (TRAK-50); network 0.257 (CG), 0.145 (TracIn),
    0.113 (TRAK-1), 0.446 (TRAK-50). Here damping is chosen on one half of the queries, and the
    other half is reported. EK-FAC is in no chart of dattri's. The runs beside other packages give
    all the same model, data and damping, and report all queries. Conjugate gradients stand beside
    dattri's published number only: dattri's go query by query, and are not run here.
  |||,
  estimate: '30 minutes',
  report: 'lds',
  runs: [
    {
      name: 'softmax regression',
      command: 'evaluate',
      config: problems.mnist(small, null, 20, 0)
              + rows.named(['conjugate-gradient', 'ekfac', 'kfac', 'diagonal', 'gradient-cosine'])
              + rows.lds(small, repeats=1, models=1, dampings=[1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]),
    },
    {
      name: 'network',
      command: 'evaluate',
      config: problems.mnist(small, [128, 64], 50, 0.9)
              + rows.named([
                'ekfac',
                'kfac',
                'diagonal',
                'gradient-cosine',
              ])
              + rows.lds(small, repeats=1, models=3, dampings=[1e-4, 1e-3, 1e-2, 1e-1]),
    },
    beside('softmax regression', problems.mnist(small, null, 20, 0), small),
    beside('network', problems.mnist(small, [128, 64], 50, 0.9), small),
  ],
}
