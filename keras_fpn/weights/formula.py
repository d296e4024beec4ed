"""Random weights from a formula, with which an untrained detector finds boxes.

For demonstrations and tests without a checkpoint: the detections mean nothing.
"""

import zlib

import keras
import numpy as np

_PROBE_SIDE = 256  # side of the noise image for scaling predictions, pixels
_PROPOSALS = 100  # boxes in it, for a detector that takes them

# Standard deviations of the predictions on noise: some classes win clearly, and boxes
# stay near their anchors.
_LOGIT_DEVIATION = 2.5
_DELTA_DEVIATION = 0.3


def fill_with_formula(model: keras.Model, seed: int = 1) -> None:
    """Fills a detector with random weights, of any of the heads below.

    They are the same on every machine.

    Kernels are normal, each generated from (seed, its path); biases and norms keep
    their initial values; predictors are scaled by their outputs for an image of noise.

    Args:
        model: `keras_fpn.models.FasterRCNN`, `FastRCNN`, `RPN`, `RetinaNet`, `FCOS`,
            `SemanticFPN`, `CascadeRCNN`, or a detector with more branches than these.
        seed: int.
    """
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            entropy = [seed, zlib.crc32(_within_model(variable).encode())]
            generator = np.random.Generator(np.random.PCG64(entropy))
            values = generator.standard_normal(variable.shape, dtype="float32")
            inputs = np.prod(variable.shape[:-1])
            variable.assign(values * np.sqrt(2.0 / inputs, dtype="float32"))
    inputs = _noise(seed, model.input)
    if hasattr(model, "rpn_head"):
        outputs = model.trunk(inputs, training=False)
        _, objectness, deltas = next(iter(model.rpn_head.towers.values()))
        _rescale(objectness, outputs["objectness"], _LOGIT_DEVIATION)
        _rescale(deltas, outputs["deltas"], _DELTA_DEVIATION)
    if hasattr(model, "dense_predictor"):
        outputs = model.trunk(inputs, training=False)
        predictor = model.dense_predictor
        _rescale(predictor.class_logits, outputs["logits"], _LOGIT_DEVIATION)
        _rescale(predictor.box_deltas, outputs["deltas"], _DELTA_DEVIATION)
    if hasattr(model, "semantic_head"):
        outputs = model.trunk(inputs, training=False)
        logits = model.semantic_predictor(model.semantic_head(outputs["pyramid"]))
        _rescale(model.semantic_predictor.logits, logits, _LOGIT_DEVIATION)
    if not hasattr(model, "roi_align"):
        return
    outputs = model.trunk(inputs, training=False)
    rois = outputs["proposals" if "proposals" in outputs else "rois"]
    for stage in model.parts.by_name().get("cascade", [model]):
        features = model.roi_align(outputs["pyramid"], rois)
        hidden = stage.box_head(features)
        logits, deltas = stage.box_predictor(hidden)
        _rescale(stage.box_predictor.class_logits, logits, _LOGIT_DEVIATION)
        _rescale(stage.box_predictor.box_deltas, deltas, _DELTA_DEVIATION)
        if stage is not model:  # the next one sees its boxes
            _, deltas = stage.box_predictor(hidden)
            rois = stage.refined_boxes(deltas, rois, inputs["image_sizes"])


def _within_model(variable):
    return variable.path.split("/", 1)[-1]


def _noise(seed, names):
    """Returns the inputs of these names, with an image and proposals at random."""
    generator = np.random.Generator(np.random.PCG64(seed))
    side = _PROBE_SIDE
    inputs = {
        "images": generator.uniform(0, 255, (1, side, side, 3)).astype("float32"),
        "image_sizes": np.array([[side, side]], "float32"),
        "proposals": np.sort(generator.uniform(0, side, (1, _PROPOSALS, 2, 2)), axis=2),
    }
    inputs["proposals"] = inputs["proposals"].reshape(1, -1, 4).astype("float32")
    return {name: inputs[name] for name in names}


def _rescale(layer, predictions, deviation):
    """Scales the kernel of a linear layer so that its predictions have a deviation."""
    if not isinstance(predictions, dict):
        predictions = {"": predictions}
    values = [keras.ops.convert_to_numpy(v).ravel() for v in predictions.values()]
    layer.kernel.assign(
        layer.kernel * float(deviation / np.std(np.concatenate(values)))
    )
