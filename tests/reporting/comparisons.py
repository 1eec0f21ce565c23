"""Made up comparisons: what ``comparison.json`` and ``metrics.json`` say."""

from __future__ import annotations


def comparison(name: str = "ekfac", **changes):
    rows = ["kfac", name]
    return {
        "queries": 18,
        "training_examples": 1617,
        "measurement": {"type": "loss"},
        "seed": 0,
        "rows": [
            {"name": row, "from": f"{row}.jsonnet", "interpreter": {"type": row, "damping": 0.1}}
            for row in rows
        ],
        "agreement": {
            "names": rows,
            "spearman": [[1.0, -0.25], [-0.25, None]],
            "undefined": [[0, 3], [3, 18]],
            "top_k": 10,
            "top_k_helpful": [[1.0, 0.5], [0.5, 1.0]],
            "top_k_harmful": [[1.0, 0.4], [0.4, 1.0]],
            "top_k_by_chance": 10 / 1617,
        },
        "evaluation": {
            "metrics": {
                "lds": {
                    "higher_is_better": True,
                    "columns": [["damping", "damping"], ["missing", "undefined"]],
                    "truth": {"alpha": 0.5},
                    "rows": {
                        row: {
                            "value": value,
                            "interval": [value - 0.05, value + 0.05],
                            "missing": 0,
                            "damping": None if row == "random" else 0.001,
                        }
                        for row, value in (("random", -0.01), ("kfac", 0.42), (name, 0.41))
                    },
                    "comparisons": [
                        {
                            "better": "kfac",
                            "worse": name,
                            "difference": difference,
                            "interval": [-0.01, 0.03],
                            "alpha": alpha,
                        }
                        for alpha, difference in ((0.5, 0.01), (0.9, 0.077))
                    ],
                    "notes": ["At most 0.88 can be reached."],
                }
            }
        },
        "warnings": [],
        **changes,
    }


def costs(*names: str):
    return {
        name: {
            "fit": {"seconds": 1.5 + place, "cpu_seconds": 1.25},
            "score": {"seconds": 0.5, "cpu_seconds": 0.5},
            "peak_memory_bytes": 300 * 2**20,
        }
        for place, name in enumerate(names)
    }
