"""A model that was trained and archived before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from hessinf.models.errors import ModelError
from hessinf.models.model import Model
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.models import model_archive
else:
    model_archive = lazy_import("hessinf.models.model_archive")


@Model.register("archive")
class ArchiveModel(Model):
    """A model that was trained before: the directory that training wrote.

    Registered as a `Model` with name "archive".

    Parameters
    ----------
    path
        The model archive: a directory with config.json, weights.safetensors and training.json; or
        the directory of a run, which holds it under "model".
    dtype
        The precision of the parameters; as they were saved when null.
    trust
        Whether the archive may name functions that build the network.
    in_features
        How many numbers one input has; passed by code, and compared with the archive.
    out_features
        How many outputs the objective needs; passed by code, and compared with the archive.
    input_shape
        The shape of one input; passed by code.
    seed
        The run's seed; passed by code, without effect.
    """

    def __init__(
        self,
        path: str,
        dtype: Literal["float32", "float64"] | None = None,
        trust: bool = False,
        in_features: int | None = None,
        out_features: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            trust=trust,
            in_features=in_features,
            out_features=out_features,
            input_shape=input_shape,
            seed=seed,
        )
        self.path = path
        self.dtype = dtype
        self.training: dict[str, Any] = {}
        """The record of training, once :attr:`module` was used."""

    def build(self) -> torch.nn.Module:
        """Load the archive, or refuse data of other sizes than it was trained on."""
        folder = model_archive.archive_folder(self.path)
        loaded = model_archive.load_archive(folder, trust=self.trust)
        sizes = loaded.config.get("sizes", {})
        for name, noun in (("in_features", "inputs"), ("out_features", "outputs")):
            trained, needed = sizes.get(name), self.sizes[name]
            if trained is not None and needed is not None and trained != needed:
                raise ModelError(
                    f'the model archive "{self.path}" was trained with {trained} {noun}, and the '
                    f"data here need {needed}; take the data that it was trained on, or train a "
                    "model on these"
                )
        self.training = loaded.training
        return loaded.module

    def _convert(self, module: torch.nn.Module) -> torch.nn.Module:
        return module if self.dtype is None else super()._convert(module)
