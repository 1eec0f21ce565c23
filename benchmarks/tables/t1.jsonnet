function(small=false) {
  title: 'T1: correctness, beside closed forms',
  about: |||
    Each line compares hessinf with something that can be written down: a formula, a dense float64
    reference, itself with other batches. The bound is what a test of the repository asks for.
  |||,
  estimate: '1 minute',
  report: 'closed-forms',
  runs: [
    {
      name: 'closed forms',
      command: 'closed-forms',
      config: { random_networks: if small then 2 else 20, damping: 0.01, seed: 0 },
    },
  ],
}
