"""Splits a backbone at one of its levels."""

import keras

from keras_fpn.levels import ordered_names


def split_backbone(backbone: keras.Model, level: str) -> tuple[keras.Model, ...]:
    """Splits a backbone into the part up to a level and the stage after it.

    Both parts share their layers with the backbone.

    Args:
        backbone: functional model, float (B, H, W, 3) -> dict "C<l>" -> map.
        level: str, "C<l>", which is not the coarsest one.

    Returns:
        lower: functional model with the outputs up to `level`, and the backbone's name.
        stage: functional model from the map of `level` to that of the next one.

    Raises:
        ValueError: the backbone does not have this level, or it is the coarsest.
    """
    names = ordered_names(backbone.output)
    if level not in names[:-1]:
        raise ValueError(
            f"level must be one of {names[:-1]}, after which the backbone has another "
            f"stage; received level={level!r}."
        )
    last = names.index(level)
    outputs = {name: backbone.output[name] for name in names[: last + 1]}
    lower = keras.Model(backbone.input, outputs, name=backbone.name)
    following = backbone.output[names[last + 1]]
    stage = keras.Model(outputs[level], following, name=names[last + 1])
    return lower, stage
