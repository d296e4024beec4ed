"""The backbone that all rows begin with: one that has learned to classify objects.

The papers' backbones have learned to classify the photos of ImageNet. Here each picture
is one object of the scenes to train on.
"""

import keras
import numpy as np
from PIL import Image

from keras_fpn.backbones import resnet18
from keras_fpn.backbones.pixels import pixel_mean_and_std
from keras_fpn.preprocessing import read_photo

_SIDE = 64  # of the pictures, pixels
_MARGIN = 1.25  # side of the part of a scene that is shown, relative to the object's


def small_backbone(weights=None):
    """Returns a small ResNet-18 with group norms.

    Args:
        weights: Path of a file that `pretrain` wrote; None for random weights.
    """
    backbone = resnet18(norm="group", channels=24)
    if weights is not None:
        backbone.load_weights(weights)
    return backbone


def pretrain(dataset, file, epochs=4, batch_size=64):
    """Trains a backbone to classify the objects of a data set, unless the file exists.

    Args:
        dataset: `keras_fpn.data.Dataset`.
        file: Path, whose name ends with ".weights.h5".
        epochs, batch_size: int.
    """
    if file.exists():
        return
    keras.utils.set_random_seed(0)
    pictures, labels = object_pictures(dataset)
    backbone = small_backbone()
    mean, std = (np.array(value) for value in pixel_mean_and_std(backbone))
    images = keras.Input((_SIDE, _SIDE, 3))
    pixels = keras.layers.Rescaling(1 / (255 * std), -mean / std)(images)
    features = keras.layers.GlobalAveragePooling2D()(backbone(pixels)["C5"])
    classes = keras.layers.Dense(len(dataset.class_names))(features)
    model = keras.Model(images, classes)
    steps = epochs * -(-len(pictures) // batch_size)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.05)
    model.compile(optimizer, loss, metrics=["accuracy"])
    found = model.fit(pictures, labels, batch_size, epochs, verbose=0)
    accuracy = found.history["accuracy"][-1]
    print(f"backbone: {len(pictures)} objects, accuracy {accuracy:.3f}", flush=True)
    partial = file.with_name(f"partial.{file.name}")  # Keras asks for this ending
    backbone.save_weights(partial)
    partial.replace(file)


def object_pictures(dataset):
    """Returns a picture of each object, uint8 (N, 64, 64, 3), and its label, (N,)."""
    pictures, labels = [], []
    for photo in dataset.photos:
        scene = Image.fromarray(read_photo(photo.path))
        for box, label in zip(photo.objects.boxes, photo.objects.labels, strict=True):
            center, side = (box[:2] + box[2:]) / 2, _MARGIN * np.max(box[2:] - box[:2])
            window = [*(center - side / 2), *(center + side / 2)]
            left, top, right, bottom = (round(float(edge)) for edge in window)
            shown = scene.crop((left, top, right, bottom))
            pictures.append(np.asarray(shown.resize((_SIDE, _SIDE))))
            labels.append(label)
    return np.stack(pictures), np.array(labels)
