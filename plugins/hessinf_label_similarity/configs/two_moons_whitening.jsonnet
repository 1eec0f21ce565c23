// The same points and the same network, with the other interpreter of the package.
(import 'two_moons.jsonnet') + {
  interpreter: { type: 'gradient-whitening', damping: { relative: 0.1 } },
}
