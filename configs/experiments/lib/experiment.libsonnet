// What the experiments share, chosen by name: data, network, training, curvature.
local datasets(parkinsons_file) = {
  digits: { reader: { type: 'digits', test_ratio: 0.1 }, objective: 'cross-entropy' },
  concrete: {
    reader: { type: 'concrete', test_ratio: 0.1, standardize_target: true },
    objective: 'mean-squared-error',
  },
  parkinsons: {
    reader: {
      type: 'parkinsons',
      file: parkinsons_file,
      test_ratio: 0.1,
      standardize_target: true,
    },
    objective: 'mean-squared-error',
  },
  synthetic: {
    reader: { type: 'synthetic', kind: 'blobs', train_size: 900, test_size: 100, spread: 2 },
    objective: 'cross-entropy',
  },
  xor: {
    reader: { type: 'synthetic', kind: 'xor', train_size: 900, test_size: 100, noise: 0.1 },
    objective: 'cross-entropy',
  },
};

local schedulers(lr, epochs) = {
  constant: 'constant',
  // Down to a learning rate of 10⁻⁸.
  cosine: { type: 'cosine', final_factor: 1e-8 / lr },
  linear: 'linear',
  step: {
    type: 'step',
    milestones: [50 * place for place in std.range(1, std.max(1, std.ceil(epochs / 50) - 1))],
    gamma: 0.2,
  },
  exponential: { type: 'exponential', gamma: 0.95 },
};

local inversions(eps) = {
  exact: 'exact',
  pseudo: { type: 'pseudo', threshold: eps },
  eigen: { type: 'eigen', threshold: eps, small: 'clamp', negative: 'clamp' },
};

local methods = {
  h: 'exact',
  ggn: 'ggn',
  'block-h': 'block-hessian',
  'block-ggn': 'block-ggn',
  kfac: 'kfac',
  ekfac: 'ekfac',
  diagonal: 'diagonal',
};

local with_matrix = ['exact', 'ggn', 'block-hessian', 'block-ggn'];

local chosen(what, name, among) =
  if std.objectHas(among, name) then among[name]
  else error '%s is "%s", expected one of: %s' % [what, name, std.join(', ', std.objectFields(among))];

{
  // The interpreter that a curvature's name stands for: H, GGN, block-H, block-GGN, KFAC, EKFAC,
  // diagonal, in large or small letters.
  interpreter(curvature, damping, inversion, eps)::
    local type = chosen('curvature', std.asciiLower(curvature), methods);
    local inverse = chosen('inversion', inversion, inversions(eps));
    { type: type, damping: damping }
    + (if std.member(with_matrix, type) then { inversion: inverse } else {}),

  curvatures:: ['H', 'GGN', 'block-H', 'block-GGN', 'KFAC', 'EKFAC', 'diagonal'],

  // Everything but what is asked of the model.
  base(
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
  )::
    local data = chosen('dataset', dataset, datasets(parkinsons_file));
    {
      dataset_reader:
        if corruption == 0 then data.reader
        else
          { type: 'noisy-labels', reader: data.reader, rate: corruption, kind: corruption_kind },
      train_data_path: 'train',
      test_data_path: 'test',
      model:
        if model == null then { type: 'mlp', hidden_sizes: hidden, activation: activation }
        else { type: 'archive', path: model },
      objective: data.objective,
      seed: seed,
    }
    + (
      if model != null then {}
      else {
        trainer: {
          optimizer: { type: 'sgd', lr: lr, momentum: 0.9 },
          scheduler: chosen('scheduler', scheduler, schedulers(lr, epochs)),
          epochs: epochs,
          batch_size: batch_size,
          weight_decay: 0,
        },
      }
    ),
}
