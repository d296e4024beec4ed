"""What is known about a published checkpoint."""

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Digest:
    """A hash of a file, or the start of one, which files are verified by.

    Attributes:
        algorithm: str, "sha256" or "md5". MD5 guards against damage only: a file that
            has a given MD5 can be made on purpose.
        digits: str, lower-case hexadecimal, all digits or the first ones.
    """

    algorithm: str
    digits: str

    def of(self, path: Path) -> str:
        """Returns the whole hash of a file, in lower-case hexadecimal."""
        with path.open("rb") as file:
            return hashlib.file_digest(file, self.algorithm).hexdigest()

    def fits(self, path: Path) -> bool:
        """Returns whether the path is a file with this hash."""
        return path.is_file() and self.of(path).startswith(self.digits)

    def __str__(self):
        return {"sha256": "SHA-256", "md5": "MD5"}[self.algorithm]


@dataclass(frozen=True)
class Checkpoint:
    """Weights that were published with a metric.

    Attributes:
        name: str, of the checkpoint in keras_fpn.
        url: str, where it is downloaded from; None if that could not be verified,
            because the publisher states no hash.
        digest: `Digest`, the start of a hash that the publisher writes into the file
            name: 8 digits of the SHA-256, or 6 of the MD5; None without a `url`.
        num_classes: int, classes without background.
        metrics: dict of data set -> metric -> value, as published. AP of boxes, masks
            and keypoints, panoptic quality (PQ) and top-1 accuracy, in percent.
        source: str, who published the weights and the metrics, and under what name.
        license: str, what is known about the terms.
        size_mb: float, size of the file in units of 2**20 bytes; None if not published.
        class_names: tuple of str, K names; None if the weights have no classes.
        category_ids: tuple of int, K ids in the data set's files; None likewise.
    """

    name: str
    url: str | None
    digest: Digest | None
    num_classes: int
    metrics: dict[str, dict[str, float]]
    source: str
    license: str
    size_mb: float | None
    class_names: tuple[str, ...] | None = None
    category_ids: tuple[int, ...] | None = None

    def __repr__(self):
        return f"<Checkpoint {described(self)}>"


def described(checkpoint):
    """Returns "NAME: box AP 37.0 on COCO val2017", str, of a checkpoint."""
    measured = "; ".join(
        f"{', '.join(f'{name} {value}' for name, value in found.items())} on {data}"
        for data, found in checkpoint.metrics.items()
    )
    return f"{checkpoint.name}: {measured}"
