"""Detects objects in photos: the console command `keras-fpn detect`."""

import sys

from keras_fpn.cli import main

if __name__ == "__main__":
    sys.exit(main(["detect", *sys.argv[1:]]))
