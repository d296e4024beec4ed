"""Whether the keypoints of a data set are those of a detector."""

from keras_fpn.data.dataset import Dataset


def check_keypoints(model, dataset: Dataset):
    """Raises an error if a detector locates keypoints that a data set does not have.

    Their names may differ, because some formats have none.

    Args:
        model: `keras_fpn.models.Detector`.
        dataset: `keras_fpn.data.Dataset`.
    """
    keypoints = getattr(model, "keypoint_set", None)
    if keypoints is None or len(dataset.keypoint_names) == len(keypoints):
        return
    raise ValueError(
        f"Objects must have the {len(keypoints)} keypoints that a "
        f"{type(model).__name__} locates; received {dataset.name!r} with "
        f"{len(dataset.keypoint_names)}. Build a detector for these "
        "keypoints, or use one that finds boxes only."
    )
