"""Writes a SavedModel: the console command `keras-fpn export`."""

import sys

from keras_fpn.cli import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
