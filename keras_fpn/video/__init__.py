"""Reads videos and cameras frame by frame, and writes videos; with PyAV.

One frame is in memory at a time, whatever the length of the video. PyAV comes with the
extra `video`, and is imported when a video is opened.
"""

from keras_fpn.video.camera import open_camera
from keras_fpn.video.reader import Frame, VideoReader, open_video
from keras_fpn.video.writer import VideoWriter

__all__ = ["Frame", "VideoReader", "VideoWriter", "open_camera", "open_video"]
