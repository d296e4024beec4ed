"""Where a training goes if its user names no folder: the first that suits it."""

import dataclasses
import itertools
import pathlib

from keras_fpn.loading import LAST
from keras_fpn.training.run_folder import SETTINGS, is_free
from keras_fpn.training.run_settings import resumes


@dataclasses.dataclass(frozen=True)
class NumberedFolders:
    """The folders runs/x, runs/x2, runs/x3, ..., each of which holds one training.

    Args:
        first: pathlib.Path of the first one.
        completing: name of the file with which a training is complete, in its folder.
    """

    first: pathlib.Path
    completing: str = LAST

    def folder_of(self, settings: dict):
        """Returns the folder for a training, pathlib.Path.

        It is the first that is new or empty, or holds a training with equal settings
        that is not complete, which is resumed there. Folders of other trainings, of
        complete ones, and of anything else are passed over.

        Args:
            settings: dict for JSON, as for `RunFolder`.
        """
        name = self.first.name
        numbered = (self.first.with_name(f"{name}{n}") for n in itertools.count(2))
        return next(
            folder
            for folder in itertools.chain([self.first], numbered)
            if is_free(folder)
            or (
                not (folder / self.completing).is_file()
                and resumes(folder / SETTINGS, settings)
            )
        )
