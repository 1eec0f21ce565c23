local problems = import 'lib/problems.libsonnet';
local rows = import 'lib/rows.libsonnet';

function(small=false) {
  title: 'T3: LDS on digits, network 64-32-16-10',
  about: |||
    How well sums of scores predict models that were trained on random subsets: Spearman's
    correlation over 100 subsets (5 models each), mean over queries and over 3 models whose
    predictions are attributed. Damping is chosen among 1e-7 to 1 on one half of the queries, and
    the other half is reported. Intervals are two-way: over queries and subsets. "ensemble" takes
    the mean score over the 3 models. Rows that end in "-heuristic" add the root of the damping to
    the factors, shared out by their traces. TracIn is not there: it needs checkpoints of the
    training, and with the last one alone it is gradient-dot.
  |||,
  estimate: '15 minutes',
  report: 'lds',
  runs: [
    {
      name: 'digits',
      command: 'evaluate',
      config: problems.digits(small)
              + rows.named([
                'exact',
                'ggn',
                'block-ggn',
                'ekfac',
                'ekfac-heuristic',
                'kfac',
                'kfac-heuristic',
                'diagonal',
                'conjugate-gradient',
                'ekfac-and-10-steps',
                'simple-influence',
                'arnoldi',
                'nystroem',
                'gradient-cosine',
              ])
              + rows.lds(small, alphas=[0.5, 0.3, 0.7, 0.9]),
    },
  ],
}
