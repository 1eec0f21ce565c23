local problems = import 'lib/problems.libsonnet';
local rows = import 'lib/rows.libsonnet';

local names = [
  'exact',
  'ggn',
  'block-ggn',
  'ekfac',
  'ekfac-heuristic',
  'kfac',
  'kfac-heuristic',
];

local run(name, problem, small, models=3, repeats=5) = {
  name: name,
  command: 'evaluate',
  config: problem + rows.named(names) + rows.lds(small, models=models, repeats=repeats),
};

function(small=false) {
  title: 'T5: from the Hessian to K-FAC, step by step',
  about: |||
    How much LDS each approximation loses beside the one before it (alpha 0.5, damping chosen for
    each on one half of the queries, reported on the other), with paired two-way intervals: an
    interval that holds 0 tells nothing apart. Both forms of damping for both Kronecker methods:
    "heuristic" adds the root of the damping to the factors, shared out by their traces; the steps
    between Kronecker methods are at the same form.
  |||,
  estimate: '40 minutes',
  report: 'steps',
  steps: [
    ['exact', 'ggn'],
    ['ggn', 'block-ggn'],
    ['block-ggn', 'ekfac'],
    ['ekfac', 'kfac'],
    ['block-ggn', 'ekfac-heuristic'],
    ['ekfac-heuristic', 'kfac-heuristic'],
    ['ekfac', 'ekfac-heuristic'],
    ['kfac', 'kfac-heuristic'],
    // As the paper's own code inverts them: EK-FAC exactly, K-FAC heuristically.
    ['ekfac', 'kfac-heuristic'],
  ],
  runs: [
    // 64-32-16-10, 100 epochs, no weight decay; 5 models, for the ensemble.
    run('base', problems.digits(small), small, models=5),
    run('margin', problems.digits(small) + { measurement: 'margin' }, small),
    run('weight decay 0.001', problems.digits(small, weight_decay=1e-3), small),
    run('400 epochs', problems.digits(small, epochs=400), small),
    run(
      'converged: 400 epochs, weight decay 0.001',
      problems.digits(small, epochs=400, weight_decay=1e-3),
      small,
    ),
    run(
      'all of it: margin, 400 epochs, weight decay 0.001, 10 models',
      problems.digits(small, epochs=400, weight_decay=1e-3) + { measurement: 'margin' },
      small,
      models=10,
    ),
    run('half as wide: 64-16-8-10', problems.digits(small, hidden=[16, 8]), small),
    run('twice as wide: 64-64-32-10', problems.digits(small, hidden=[64, 32]), small),
  ],
}
