"""Data: instances, data sets, and the readers that make them."""

from hessinf.data.as_dataset import as_dataset
from hessinf.data.breast_cancer import BreastCancer
from hessinf.data.concrete import Concrete
from hessinf.data.csv_reader import CsvReader
from hessinf.data.dataset import Dataset
from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.diabetes import Diabetes
from hessinf.data.digits import Digits
from hessinf.data.errors import DataError
from hessinf.data.grouped_labels import GroupedLabels
from hessinf.data.instance import Instance
from hessinf.data.iris import Iris
from hessinf.data.jsonl_reader import JsonlReader
from hessinf.data.mixed_datasets import MixedDatasets
from hessinf.data.mnist_5k import Mnist5k
from hessinf.data.noisy_labels import NoisyLabels
from hessinf.data.parkinsons import Parkinsons
from hessinf.data.parquet_reader import ParquetReader
from hessinf.data.reviews import Reviews
from hessinf.data.shortcut import Shortcut
from hessinf.data.subset import Subset
from hessinf.data.synthetic import Synthetic
from hessinf.data.text_reader import TextReader
from hessinf.data.wine import Wine

__all__ = [
    "BreastCancer",
    "Concrete",
    "CsvReader",
    "DataError",
    "Dataset",
    "DatasetReader",
    "Diabetes",
    "Digits",
    "GroupedLabels",
    "Instance",
    "Iris",
    "JsonlReader",
    "MixedDatasets",
    "Mnist5k",
    "NoisyLabels",
    "Parkinsons",
    "ParquetReader",
    "Reviews",
    "Shortcut",
    "Subset",
    "Synthetic",
    "TextReader",
    "Wine",
    "as_dataset",
]
