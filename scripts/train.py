"""Trains a detector by a recipe: the console command `keras-fpn train`."""

import sys

from keras_fpn.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
