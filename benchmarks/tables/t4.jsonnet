local problems = import 'lib/problems.libsonnet';
local rows = import 'lib/rows.libsonnet';

local compared = [
  'ggn',
  'block-hessian',
  'block-ggn',
  'block-ggn-by-parameter',
  'ekfac',
  'kfac',
  'kfac-empirical',
  'diagonal',
];

local both(problem, small) = {
  analysis: problem + {
    analysis: {
      reference: 'hessian',
      approximations: { [name]: rows[name] for name in compared },
      dampings: [1e-4, 1e-3, 1e-2],
      plots: false,
    },
  },
  lds: problem + rows.named(['exact'] + compared) + rows.lds(small, models=1),
};

function(small=false) {
  title: 'T4: does a better curvature give better scores?',
  about: |||
    Each approximation beside the Hessian of one trained network, by the usual metrics of curvature,
    and beside that the LDS of its scores (alpha 0.5, 5 repeats, damping chosen on one half of the
    queries). The last line of each table is Spearman's correlation, over the rows, of the metric
    with LDS: 1 says that the metric ranks approximations as LDS does. Residuals and conditions have
    a minus before them, so that larger is better everywhere.
  |||,
  estimate: '30 minutes',
  report: 'curvature',
  runs: [
    {
      name: name + ': ' + what,
      command: if what == 'lds' then 'evaluate' else 'analyze',
      config: both(problem, small)[what],
    }
    for name in ['digits', 'digits, weight decay', 'concrete', 'concrete, weight decay']
    for what in ['analysis', 'lds']
    for problem in [
      local decay = if std.endsWith(name, 'decay') then 1e-3 else 0;
      if std.startsWith(name, 'digits') then problems.digits(small, weight_decay=decay)
      else problems.concrete(small, hidden=[64, 32], weight_decay=decay, epochs=100),
    ]
  ],
}
