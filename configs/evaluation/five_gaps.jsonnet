// Why influence does not predict what happens when a network is trained again without an example:
// twenty examples, five gaps, the last of them the method's own.
(import '../lib/digits.libsonnet') + {
  interpreter: { type: 'ekfac', damping: 1e-3 },
  evaluation: {
    metrics: { 'five-gaps': { type: 'five-gaps', examples: 20, damping: 1e-3 } },
    methods: { ggn: 'ggn', kfac: 'kfac', lissa: 'simple-influence' },
  },
}
