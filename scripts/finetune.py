"""Fine-tunes a detector on your photos: the console command `keras-fpn finetune`."""

import sys

from keras_fpn.cli import main

if __name__ == "__main__":
    sys.exit(main(["finetune", *sys.argv[1:]]))
