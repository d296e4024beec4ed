"""Measures a detector on a data set: the console command `keras-fpn evaluate`."""

import sys

from keras_fpn.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
