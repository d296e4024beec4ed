"""Data sets for training and evaluation: reading, augmenting, batches."""

from keras_fpn.data.check import check_dataset
from keras_fpn.data.coco import read_coco
from keras_fpn.data.coco_panoptic import read_coco_panoptic
from keras_fpn.data.coco_writer import (
    coco_results_file,
    write_coco,
    write_coco_results,
)
from keras_fpn.data.copy_paste import CopyPaste
from keras_fpn.data.csv_boxes import read_csv, write_csv
from keras_fpn.data.cvat import read_cvat
from keras_fpn.data.dataset import Dataset, Objects, Photo
from keras_fpn.data.flip import RandomFlip
from keras_fpn.data.label_images import read_label_images
from keras_fpn.data.labelme import read_labelme
from keras_fpn.data.loader import Loader
from keras_fpn.data.mask_crops import mask_crops
from keras_fpn.data.open_dataset import open_dataset
from keras_fpn.data.panoptic_writer import PanopticWriter, write_panoptic
from keras_fpn.data.photometric import Photometric
from keras_fpn.data.proposal_files import read_proposals, write_proposals
from keras_fpn.data.proposals import with_proposals
from keras_fpn.data.pydataset import LoaderSequence
from keras_fpn.data.random_numbers import random_generator
from keras_fpn.data.report import Report
from keras_fpn.data.rescale import LargeScaleJitter, MultiScale
from keras_fpn.data.safe_crop import SafeCrop
from keras_fpn.data.sample import load_sample
from keras_fpn.data.semantic_images import read_semantic_images
from keras_fpn.data.statistics import statistics
from keras_fpn.data.stream import stream_batches
from keras_fpn.data.voc import read_voc
from keras_fpn.data.voc_writer import write_voc
from keras_fpn.data.yolo import read_yolo, write_yolo

__all__ = [
    "CopyPaste",
    "Dataset",
    "LargeScaleJitter",
    "Loader",
    "LoaderSequence",
    "MultiScale",
    "Objects",
    "PanopticWriter",
    "Photo",
    "Photometric",
    "RandomFlip",
    "Report",
    "SafeCrop",
    "check_dataset",
    "coco_results_file",
    "load_sample",
    "mask_crops",
    "open_dataset",
    "random_generator",
    "read_coco",
    "read_coco_panoptic",
    "read_csv",
    "read_cvat",
    "read_label_images",
    "read_labelme",
    "read_proposals",
    "read_semantic_images",
    "read_voc",
    "read_yolo",
    "statistics",
    "stream_batches",
    "tensorflow_dataset",
    "with_proposals",
    "write_coco",
    "write_coco_results",
    "write_csv",
    "write_panoptic",
    "write_proposals",
    "write_voc",
    "write_yolo",
]


def __getattr__(name):
    if name != "tensorflow_dataset":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # It imports TensorFlow, which a user of JAX need not have installed.
    from keras_fpn.data.tensorflow_loop import tensorflow_dataset

    return tensorflow_dataset
