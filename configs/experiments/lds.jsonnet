// Do scores predict models that are trained again on a part of the data? hessinf evaluate CONFIG
// -s DIR. Every curvature is a row; the one that is chosen is the config's own interpreter.
local experiment = import 'lib/experiment.libsonnet';

function(
  dataset='digits',
  hidden=[64, 32],
  activation='gelu',
  lr=0.01,
  epochs=100,
  batch_size=32,
  scheduler='cosine',
  corruption=0,
  corruption_kind='uniform',
  parkinsons_file='parkinsons_updrs.data',
  seed=0,
  model=null,
  curvature='GGN',
  damping=1e-4,
  inversion='eigen',
  eps=1e-6,
  alphas=[0.5, 0.3, 0.7, 0.9],
  subsets=100,
  repeats=1,
  rows=['GGN', 'block-GGN', 'KFAC', 'EKFAC', 'diagonal'],
)
  experiment.base(
    dataset,
    hidden,
    activation,
    lr,
    epochs,
    batch_size,
    scheduler,
    corruption,
    corruption_kind,
    parkinsons_file,
    seed,
    model,
  ) {
    interpreter: experiment.interpreter(curvature, damping, inversion, eps),
    evaluation: {
      metrics: {
        lds: { type: 'lds', alphas: alphas, subsets: subsets, repeats: repeats },
      },
      methods: {
        [std.asciiLower(row)]: experiment.interpreter(row, damping, inversion, eps)
        for row in rows
        if std.asciiLower(row) != std.asciiLower(curvature)
      },
    },
  }
