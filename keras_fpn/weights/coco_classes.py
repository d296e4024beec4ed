"""The classes of checkpoints that were trained on COCO."""

import itertools

# The columns of a COCO checkpoint are the category ids 1..90 of COCO, of which the data
# set uses 80: the others are never detected.
COCO_CATEGORY_IDS = tuple(range(1, 91))
COCO_CLASS_NAMES = tuple(
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,"
    "fire hydrant,N/A,stop sign,parking meter,bench,bird,cat,dog,horse,sheep,"
    "cow,elephant,bear,zebra,giraffe,N/A,backpack,umbrella,N/A,N/A,"
    "handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,"
    "baseball glove,skateboard,surfboard,tennis racket,bottle,N/A,wine glass,cup,"
    "fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,"
    "carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,N/A,"
    "dining table,N/A,N/A,toilet,N/A,tv,laptop,mouse,remote,keyboard,"
    "cell phone,microwave,oven,toaster,sink,refrigerator,N/A,book,clock,vase,"
    "scissors,teddy bear,hair drier,toothbrush".split(",")
)

# torchvision's one-stage detectors have a column for each id from 0 on.
COCO_91_CATEGORY_IDS = (0, *COCO_CATEGORY_IDS)
COCO_91_CLASS_NAMES = ("N/A", *COCO_CLASS_NAMES)

# detectron2 has a column for each of the 80 classes that COCO uses.
_USED = [name != "N/A" for name in COCO_CLASS_NAMES]
COCO_80_CATEGORY_IDS = tuple(itertools.compress(COCO_CATEGORY_IDS, _USED))
COCO_80_CLASS_NAMES = tuple(itertools.compress(COCO_CLASS_NAMES, _USED))

# The only class with keypoints in COCO, and the only one of such detectors.
PERSON_CATEGORY_IDS = (1,)
PERSON_CLASS_NAMES = ("person",)
