"""Evaluation: how good attributions are, against what retraining shows."""

from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.brittleness import Brittleness
from hessinf.evaluation.class_detection import ClassDetection
from hessinf.evaluation.data_cleaning import DataCleaning
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.evaluation import evaluate
from hessinf.evaluation.five_gaps import FiveGaps
from hessinf.evaluation.ground_truth import GroundTruth
from hessinf.evaluation.lds_metric import LinearDatamodelingScore
from hessinf.evaluation.leave_one_out import LeaveOneOut
from hessinf.evaluation.leave_one_out_truth import LeaveOneOutRetraining
from hessinf.evaluation.leave_some_out import LeaveSomeOut
from hessinf.evaluation.leave_some_out_files import LeaveSomeOutFiles
from hessinf.evaluation.leave_some_out_truth import LeaveSomeOutRetraining
from hessinf.evaluation.making import make_problem
from hessinf.evaluation.method_attribution import Method, MethodAttribution
from hessinf.evaluation.metric import Conclusion, Judgement, Metric
from hessinf.evaluation.mislabel import Mislabel
from hessinf.evaluation.mixed_datasets import MixedDatasetsDetection
from hessinf.evaluation.model_randomisation import ModelRandomisation
from hessinf.evaluation.problem import Problem, ScoreModel
from hessinf.evaluation.query_loss_difference import QueryLossDifference
from hessinf.evaluation.shortcut_detection import ShortcutDetection
from hessinf.evaluation.subclass_detection import SubclassDetection
from hessinf.evaluation.subset_retraining import SubsetRetraining
from hessinf.evaluation.top_k_overlap import TopKOverlap
from hessinf.evaluation.truth_store import TruthStore

__all__ = [
    "Attribution",
    "Brittleness",
    "ClassDetection",
    "Conclusion",
    "DataCleaning",
    "EvaluationError",
    "FiveGaps",
    "GroundTruth",
    "Judgement",
    "LeaveOneOut",
    "LeaveOneOutRetraining",
    "LeaveSomeOut",
    "LeaveSomeOutFiles",
    "LeaveSomeOutRetraining",
    "LinearDatamodelingScore",
    "Method",
    "MethodAttribution",
    "Metric",
    "Mislabel",
    "MixedDatasetsDetection",
    "ModelRandomisation",
    "Problem",
    "QueryLossDifference",
    "ScoreModel",
    "ShortcutDetection",
    "SubclassDetection",
    "SubsetRetraining",
    "TopKOverlap",
    "TruthStore",
    "evaluate",
    "make_problem",
]
