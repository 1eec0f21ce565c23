// How near are the approximations to the Hessian? hessinf analyze CONFIG -s DIR.
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
  dampings=[1e-4, 1e-3, 1e-2],
  thresholds=[1e-6, 1e-4],
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
    analysis: {
      reference: 'hessian',
      approximations: {
        [std.asciiLower(name)]: experiment.interpreter(name, damping, inversion, eps)
        for name in experiment.curvatures
        if name != 'H'
      },
      dampings: dampings,
      thresholds: thresholds,
    },
  }
