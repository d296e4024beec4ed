"""Checkpoints trained by this project and shipped with it: no download."""

import site
import sys
from dataclasses import dataclass
from pathlib import Path

from keras_fpn.weights.checkpoint import Digest, described

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class ShippedCheckpoint:
    """A detector in a file of this project.

    Attributes:
        name: str; the file is NAME.keras, the recipe zoo/NAME.py.
        sha256: str, of the file.
        class_names: tuple of str, K names.
        metrics: dict of data set -> metric -> value, in percent, measured by us; the
            recipe says how.
        sample: str, the file in keras_fpn/samples that suits it; or None.
        license: str, of the weights.
        size_mb: float, size of the file in units of 2**20 bytes.
    """

    name: str
    sha256: str
    class_names: tuple[str, ...]
    metrics: dict[str, dict[str, float]]
    sample: str | None
    license: str
    size_mb: float

    def __repr__(self):
        return f"<ShippedCheckpoint {described(self)}>"

    @property
    def source(self):
        """str, who made the weights and measured them."""
        return f"keras_fpn, zoo/{self.name}.py"

    @property
    def num_classes(self):
        """int, K."""
        return len(self.class_names)

    @property
    def category_ids(self):
        """list of int, 1..K."""
        return list(range(1, self.num_classes + 1))

    def path(self):
        """Returns the Path of the verified file.

        Raises:
            FileNotFoundError: it is neither in the installation nor in the checkout.
            ValueError: the file has another SHA-256.
        """
        for folder in _folders():
            path = folder / f"{self.name}.keras"
            if not path.is_file():
                continue
            found = Digest("sha256", self.sha256).of(path)
            if found != self.sha256:
                raise ValueError(
                    f"{path} must have the SHA-256 {self.sha256}; received {found}. "
                    "The file is damaged: reinstall keras_fpn."
                )
            return path
        raise FileNotFoundError(
            f"{self.name}.keras was not installed with keras_fpn. Take it from "
            "the folder zoo of the source, and load it as a file."
        )


def _folders():
    """Returns the folders of the files: in the package, a checkout, an installation."""
    roots = [_PACKAGE.parent, Path(sys.prefix), Path(site.getuserbase())]
    installed = [root / "share" / "keras_fpn" / "zoo" for root in roots]
    return [_PACKAGE / "weights", _PACKAGE.parent / "zoo", *installed]


_SCENES = ShippedCheckpoint(
    name="faster_rcnn_resnet18_fpn_scenes",
    sha256="584e0154d4a28d1a7b81de0d653efb145aafa73e07159a11bee0cda17f65a842",
    class_names=(
        "disk",
        "striped disk",
        "ring",
        "open ring",
        "6-tooth gear",
        "12-tooth gear",
        "arrow up",
        "arrow down",
    ),
    metrics={"200 generated scenes of seed 2": {"box AP": 69.9}},
    sample="scene.png",
    license="Apache-2.0, as keras_fpn; trained on generated pictures",
    size_mb=4.48,
)

_BCCD = ShippedCheckpoint(
    name="faster_rcnn_resnet18_fpn_bccd",
    sha256="a99d1a7f90a9cc04df42a26c12e475696856fa8f514c02693bd783f1b36d4af6",
    class_names=("Platelets", "RBC", "WBC"),
    metrics={"BCCD test": {"box AP": 59.1}},
    sample=None,
    license="Apache-2.0, as keras_fpn; trained on BCCD, MIT, (c) its authors",
    size_mb=4.47,
)

_NUCLEI = ShippedCheckpoint(
    name="mask_rcnn_resnet18_fpn_nuclei",
    sha256="63fe2f5302028d275e80a1c1c77b5568296e5ec33f26f41cf966ea8c0e4c27e4",
    class_names=("nucleus",),
    metrics={"81 images of nuclei": {"box AP": 50.2, "mask AP": 52.8}},
    sample=None,
    license="Apache-2.0, as keras_fpn; trained on nuclei of the 2018 Data Science "
    "Bowl, CC0",
    size_mb=4.68,
)

SHIPPED = {checkpoint.name: checkpoint for checkpoint in [_SCENES, _BCCD, _NUCLEI]}
