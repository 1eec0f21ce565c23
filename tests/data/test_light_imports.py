from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "numpy", "sklearn", "pyarrow")


def test_readers_are_configured_without_heavy_imports():
    script = (
        "import sys, hessinf.data as data\n"
        "for name in ('digits', 'wine', 'iris', 'breast-cancer', 'diabetes', 'synthetic',\n"
        "  'concrete', 'mnist-5k', 'parkinsons', 'text', 'reviews'):\n"
        "    data.DatasetReader.from_config(name)\n"
        "for name in ('csv', 'jsonl', 'parquet'):\n"
        "    data.DatasetReader.from_config({'type': name, 'target': 'y'})\n"
        "for name, more in (('noisy-labels', {'rate': 0.1}), ('subset', {'size': 3}),\n"
        "  ('grouped-labels', {'groups': {'a': ['0'], 'b': ['1']}}),\n"
        "  ('shortcut', {'label': '0'}), ('mixed-datasets', {'other': 'digits'})):\n"
        "    data.DatasetReader.from_config({'type': name, 'reader': 'digits', **more})\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
