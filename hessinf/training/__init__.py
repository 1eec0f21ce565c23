"""Training a model: optimizers, schedulers, and the trainer that records what it minimized."""

from hessinf.training.adam_optimizers import Adam, Adamax, AdamW, NAdam, RAdam, SparseAdam
from hessinf.training.early_stopping import EarlyStopping
from hessinf.training.errors import TrainingError
from hessinf.training.gradient_optimizers import (
    Adadelta,
    Adafactor,
    Adagrad,
    Asgd,
    Muon,
    RMSprop,
    Rprop,
    Sgd,
)
from hessinf.training.lbfgs import Lbfgs
from hessinf.training.members import (
    Member,
    TrainedMembers,
    batching_obstacle,
    chunks_of,
    train_members,
)
from hessinf.training.optimizer import Optimizer
from hessinf.training.record import TrainingRecord
from hessinf.training.scheduler import Constant, Cosine, Exponential, Linear, Scheduler, Step
from hessinf.training.torch_optim import TorchOptim
from hessinf.training.trainer import Trainer

__all__ = [
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Asgd",
    "Constant",
    "Cosine",
    "EarlyStopping",
    "Exponential",
    "Lbfgs",
    "Linear",
    "Member",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "Scheduler",
    "Sgd",
    "SparseAdam",
    "Step",
    "TorchOptim",
    "TrainedMembers",
    "Trainer",
    "TrainingError",
    "TrainingRecord",
    "batching_obstacle",
    "chunks_of",
    "train_members",
]
