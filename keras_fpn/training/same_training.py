"""What two processes must share for one to continue the other's training."""

import hashlib
import re

import keras

from keras_fpn.data.fingerprint import fingerprint

# What every layer's config has: of no account, or in the weights' own description.
_OF_EVERY_LAYER = ("name", "trainable", "dtype")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def settings_of(plan, model, loader, validation, seed):
    """Returns what `RunFolder` compares, a dict for JSON.

    Args:
        plan: `TrainingPlan`.
        model: detector, compiled.
        loader: `keras_fpn.data.Loader` of the training photos.
        validation: `keras_fpn.data.Dataset` or None.
        seed: int.
    """
    optimizer = keras.saving.serialize_keras_object(model.optimizer)["config"]
    # Keras numbers those that were not named: it says nothing of the training.
    optimizer = {key: value for key, value in optimizer.items() if key != "name"}
    return {
        "recipe": plan.name,
        "dataset": _told(loader.dataset),
        "validation": _told(validation),
        "class_names": list(loader.dataset.class_names),
        "epochs": plan.epochs,
        "steps": plan.steps,
        "batch_size": plan.batch_size,
        # A class of one's own may not say more than its name, and where it lies.
        "augment": [_ADDRESS.sub("", repr(one)) for one in plan.augment],
        "shapes": _ADDRESS.sub("", repr(plan.shapes)),
        "frozen_through": plan.frozen_through,
        "undecayed": list(plan.undecayed),
        "dtype_policy": plan.dtype_policy,
        "optimizer": optimizer,
        "preprocessing": model.preprocessing.to_config(),
        "model": {name: _config(part) for name, part in model.parts().items()},
        "weights": _shapes(model),
        "seed": seed,
    }


def _told(dataset):
    if dataset is None:
        return None
    return f"{dataset.name}, {len(dataset)} photos, {fingerprint(dataset)}"


def _config(part):
    """Returns a layer's own arguments; of a functional model its weights tell enough.

    Args:
        part: layer, or an object that can be printed.
    """
    if isinstance(part, keras.Model):
        return part.name
    if not isinstance(part, keras.layers.Layer):
        return repr(part)
    config = part.get_config()
    return {key: value for key, value in config.items() if key not in _OF_EVERY_LAYER}


def _shapes(model):
    """Returns how many values are in a model's weights, and a hash of their shapes."""
    shapes = [(tuple(weight.shape), weight.trainable) for weight in model.weights]
    digest = hashlib.sha256(repr(shapes).encode()).hexdigest()
    return f"{model.count_params()} parameters, {digest[:16]}"
