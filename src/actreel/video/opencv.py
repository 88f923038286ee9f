"""OpenCV, quiet: the only importer of cv2.

OpenCV reads its log level once, when it loads. Whoever imports cv2 first decides whether `[ WARN:0] global cap.cpp …`
appears on the user's terminal, so everyone imports it from here.
"""

import os

os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2 as cv2
