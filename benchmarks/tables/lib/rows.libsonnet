// The rows of tables, and how LDS is measured.
{
  // The Hessian has negative eigenvalues away from a minimum: they count as zero.
  exact: { type: 'exact', inversion: { type: 'eigen', negative: 'clamp' } },
  ggn: { type: 'ggn' },
  'block-hessian': { type: 'block-hessian', inversion: { type: 'eigen', negative: 'clamp' } },
  'block-ggn': { type: 'block-ggn' },
  'block-ggn-by-parameter': { type: 'block-ggn', blocks: 'parameter' },
  ekfac: { type: 'ekfac', fisher: 'type-2' },
  'ekfac-heuristic': { type: 'ekfac', fisher: 'type-2', heuristic_damping: true },
  kfac: { type: 'kfac', fisher: 'type-2' },
  'kfac-heuristic': { type: 'kfac', fisher: 'type-2', heuristic_damping: true },
  'kfac-empirical': { type: 'kfac', fisher: 'empirical' },
  diagonal: { type: 'diagonal', fisher: 'type-2' },
  'gradient-cosine': { type: 'gradient-cosine' },
  'conjugate-gradient': {
    type: 'conjugate-gradient',
    method: 'block',
    tolerance: 1e-3,
    steps: 200,
  },
  'ekfac-and-10-steps': { type: 'conjugate-gradient', preconditioner: 'ekfac', steps: 10 },
  'simple-influence': { type: 'simple-influence', lissa_batch_size: 64, recursion_depth: 60.0 },
  arnoldi: { type: 'arnoldi', rank: 100 },
  nystroem: { type: 'nystroem', rank: 200 },

  // The config's own interpreter is the first row; "names" are those of the fields above.
  named(names):: {
    interpreter: $[names[0]],
    evaluation+: { methods: { [name]: $[name] for name in names[1:] } },
  },

  // LDS with damping chosen on one half of the queries, and reported on the other.
  lds(
    small,
    alphas=[0.5],
    repeats=5,
    models=3,
    dampings=[1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1],
  ):: {
    evaluation+: {
      metrics: {
        lds: {
          type: 'lds',
          alphas: if small then alphas[0:2] else alphas,
          subsets: if small then 6 else 100,
          repeats: if small then 2 else repeats,
          dampings:
            local middle = std.floor(std.length(dampings) / 2);
            if small then dampings[middle - 1:middle + 1] else dampings,
          resamples: if small then 100 else 1000,
        },
      },
      models: if small then 2 else models,
    },
  },
}
