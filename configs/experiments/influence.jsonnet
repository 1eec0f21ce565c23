// Scores of every test example with one curvature: hessinf interpret CONFIG -s DIR, with
// --tla-str dataset=concrete, --tla-str curvature=KFAC, --tla-code epochs=50, ...
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
    scores: 'zarr',
    top_k: 10,
  }
