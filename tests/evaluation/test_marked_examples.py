from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.marked_examples import marked_ranking


def test_each_query_ranks_the_training_examples():
    random = np.random.default_rng(0)
    scores = random.standard_normal((5, 30)).round(1)
    marked = random.random(30) < 0.3
    auprc, auroc = marked_ranking(scores, marked)
    assert auprc == pytest.approx([average_precision_score(marked, row) for row in scores])
    assert auroc == pytest.approx([roc_auc_score(marked, row) for row in scores])


def test_what_cannot_be_ranked_is_refused():
    for marks, missing in ((False, "positive"), (True, "negative")):
        with pytest.raises(EvaluationError, match=f"without a {missing} one$"):
            marked_ranking(np.zeros((2, 3)), np.full(3, marks))
    text = "scores has shape [2, 3], that is 3 training examples; expected 4 training examples"
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}"):
        marked_ranking(np.zeros((2, 3)), np.array([True, False, False, False]))
