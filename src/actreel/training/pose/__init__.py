"""BlazePose as an encoder: a person's landmarks in each frame, from networks that are published as TFLite files."""

from actreel.training.pose.encoder import PoseEncoder
from actreel.training.pose.files import fetch_networks, networks_folder

__all__ = ["PoseEncoder", "fetch_networks", "networks_folder"]
