"""Networks, what they are trained for, what is measured of them, and how they are kept."""

from hessinf.models.archive import ArchiveModel
from hessinf.models.binary_cross_entropy import BinaryCrossEntropy
from hessinf.models.callable_objective import CallableObjective, as_objective
from hessinf.models.cnn import Cnn
from hessinf.models.cross_entropy import CrossEntropy
from hessinf.models.errors import ArchiveError, ModelError, ObjectiveError
from hessinf.models.language_modeling import LanguageModeling
from hessinf.models.linear import LinearRegression, LogisticRegression
from hessinf.models.mean_squared_error import MeanSquaredError
from hessinf.models.measurement import Logit, LogProbability, Loss, Margin, Measurement
from hessinf.models.mlp import Mlp
from hessinf.models.model import Model
from hessinf.models.model_archive import LoadedModel, load_archive, save_archive
from hessinf.models.module_model import ModuleModel
from hessinf.models.objective import Objective
from hessinf.models.text_classifier import TextClassifier

__all__ = [
    "ArchiveError",
    "ArchiveModel",
    "BinaryCrossEntropy",
    "CallableObjective",
    "Cnn",
    "CrossEntropy",
    "LanguageModeling",
    "LinearRegression",
    "LoadedModel",
    "LogProbability",
    "LogisticRegression",
    "Logit",
    "Loss",
    "Margin",
    "MeanSquaredError",
    "Measurement",
    "Mlp",
    "Model",
    "ModelError",
    "ModuleModel",
    "Objective",
    "ObjectiveError",
    "TextClassifier",
    "as_objective",
    "load_archive",
    "save_archive",
]
