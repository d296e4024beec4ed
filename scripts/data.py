"""Checks and shows data sets: the console command `keras-fpn data`."""

import sys

from keras_fpn.cli import main

if __name__ == "__main__":
    sys.exit(main(["data", *sys.argv[1:]]))
