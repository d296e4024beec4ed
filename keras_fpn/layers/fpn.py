"""The feature pyramid: lateral connections, top-down merges, smoothing."""

import itertools
from collections.abc import Sequence

import keras

from keras_fpn.layers.lateral import LateralConnection, SmoothingConvolution
from keras_fpn.layers.top_down import TopDownMerge
from keras_fpn.levels import ordered_names, pyramid_name


@keras.saving.register_keras_serializable(package="keras_fpn")
class FeaturePyramid(keras.layers.Layer):
    """Adds the semantics of coarse levels to the detail of fine ones.

    M_l = lateral(C_l) + upsample(M_{l+1}) and P_l = smooth(M_l). At the coarsest level,
    M_l = lateral(C_l).

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 3, Fig. 3. No deviation.

    Args:
        channels: int, channels of every pyramid map.
        norm: as in `ConvNorm`, after each convolution of the pyramid.
        lateral: layer, float (B, H, W, C_l) -> (B, H, W, channels). Each level gets its
            own copy. None means `LateralConnection(channels, norm)`.
        merge: layer, called with the lateral map and the merged map of the next coarser
            level. Each level but the coarsest gets its own copy. None means
            `TopDownMerge()`.
        levels: names "P<l>" of the levels to return; the others are merged but not
            smoothed. None returns all.
        coarsest: layer, float (B, H, W, C_l) -> (B, H, W, channels), which alone makes
            the pyramid map of the coarsest level. None means that this level has a
            lateral connection and smoothing as all others.

    Call arguments:
        bottom_up: dict "C<l>" -> float (B, H_l, W_l, C_l), contiguous levels.

    Returns:
        dict "P<l>" -> float (B, H_l, W_l, channels), the same levels, or `levels`.

    Raises:
        ValueError: there is no level, one between the finest and the coarsest is
            missing, `levels` has one that the backbone does not have, or the levels are
            not those with which the layer was built.
    """

    def __init__(
        self,
        channels: int = 256,
        norm: str | None = None,
        lateral: keras.layers.Layer | None = None,
        merge: keras.layers.Layer | None = None,
        levels: Sequence[str] | None = None,
        coarsest: keras.layers.Layer | None = None,
        **kwargs,
    ):
        if "fuse" in kwargs:
            raise ValueError(
                "FeaturePyramid must be given merge, which replaced fuse; received "
                f"fuse={kwargs['fuse']!r}. Use merge=TopDownMerge('average')."
            )
        super().__init__(**kwargs)
        self.channels = channels
        self.norm = norm
        self.levels = None if levels is None else tuple(levels)
        self._templates = {
            "lateral": _config(lateral),
            "merge": _config(merge),
            "coarsest": _config(coarsest),
        }

    def build(self, bottom_up_shape):
        self.names = ordered_names(bottom_up_shape)
        self._check_returned()
        self.lateral, self.smooth, self.merge = {}, {}, {}
        for name in self.names:
            shape = bottom_up_shape[name]
            merged_shape = (*shape[:-1], self.channels)
            alone = name == self.names[-1] and self._templates["coarsest"] is not None
            role = "coarsest" if alone else "lateral"
            self.lateral[name] = self._new_layer(role, name, LateralConnection)
            self.lateral[name].build(shape)
            self._check_channels(self.lateral[name], shape)
            if self._is_returned(name) and not alone:
                smooth = self._convolution(SmoothingConvolution, "smooth", name)
                smooth.build(merged_shape)
                self.smooth[name] = smooth
        for name, coarser in itertools.pairwise(self.names):
            self.merge[name] = self._new_layer("merge", name, TopDownMerge)
            shapes = (
                (*bottom_up_shape[n][:-1], self.channels) for n in (name, coarser)
            )
            # A call on symbolic tensors builds a merge of two inputs.
            self.merge[name](*map(keras.KerasTensor, shapes))

    def _is_returned(self, name):
        return self.levels is None or pyramid_name(name) in self.levels

    def _check_returned(self):
        own = [pyramid_name(name) for name in self.names]
        if self.levels is not None and not set() < set(self.levels) <= set(own):
            raise ValueError(
                f"levels must be some of the pyramid's, {own}; received levels="
                f"{self.levels}. Use a backbone with these levels, or leave them out."
            )

    def _check_channels(self, lateral, shape):
        channels = lateral.compute_output_shape(shape)[-1]
        if channels != self.channels:
            raise ValueError(
                "A lateral connection must have the pyramid's channels; received "
                f"{lateral.name} of {channels} channels in a pyramid of "
                f"channels={self.channels}. Give both the same number."
            )

    def _check_levels(self, bottom_up):
        names = ordered_names(bottom_up)
        if names != self.names:
            raise ValueError(
                "A pyramid must get the levels with which it was built, "
                f"{self.names}; received {names}. Use a new pyramid, or a backbone "
                "with these levels."
            )

    def call(self, bottom_up, training=False):
        self._check_levels(bottom_up)
        pyramid, coarser = {}, None
        for name in reversed(self.names):  # top-down
            merged = self.lateral[name](bottom_up[name], training=training)
            if coarser is not None:
                merged = self.merge[name](merged, coarser, training=training)
            if self._is_returned(name):
                smoothed = merged
                if name in self.smooth:
                    smoothed = self.smooth[name](merged, training=training)
                pyramid[pyramid_name(name)] = smoothed
            coarser = merged
        return pyramid

    def compute_output_shape(self, bottom_up_shape):
        if self.built:
            self._check_levels(bottom_up_shape)
        return {
            pyramid_name(name): (*shape[:-1], self.channels)
            for name, shape in bottom_up_shape.items()
            if self._is_returned(name)
        }

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "norm": self.norm,
            "levels": self.levels,
            **self._templates,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        fuse = config.pop("fuse", "sum")  # in .keras files saved by 0.1.0.dev0
        for role in ("lateral", "merge", "coarsest"):
            if isinstance(config.get(role), dict):
                config[role] = keras.saving.deserialize_keras_object(config[role])
        if fuse != "sum":
            config["merge"] = TopDownMerge(fuse)
        return cls(**config)

    def _new_layer(self, role, name, default):
        """Returns a new layer for a level: a copy of the template, or the default.

        A copy has the dtype policy of the pyramid.
        """
        config = self._templates[role]
        if config is None and role == "lateral":
            return self._convolution(default, role, name)
        if config is None:
            return default(dtype=self.dtype_policy, name=f"{role}_{name}")
        own = {**config["config"], "name": f"{role}_{name}"}
        if "dtype" in own:
            own["dtype"] = keras.dtype_policies.serialize(self.dtype_policy)
        return keras.saving.deserialize_keras_object({**config, "config": own})

    def _convolution(self, kind, role, name):
        return kind(
            self.channels,
            norm=self.norm,
            dtype=self.dtype_policy,
            name=f"{role}_{name}",
        )


def _config(template):
    """Returns a layer's config without the shapes it was built with, or None."""
    if template is None:
        return None
    config = keras.saving.serialize_keras_object(template)
    return {key: value for key, value in config.items() if key != "build_config"}
