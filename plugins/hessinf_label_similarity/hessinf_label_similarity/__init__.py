"""A plugin of hessinf: two interpreters and a reader, to be copied.

hessinf imports every module of the package; each registers the class in it.
"""

from hessinf_label_similarity.gradient_whitening import GradientWhitening
from hessinf_label_similarity.label_similarity import LabelSimilarity
from hessinf_label_similarity.two_moons import TwoMoons

__all__ = ["GradientWhitening", "LabelSimilarity", "TwoMoons"]
