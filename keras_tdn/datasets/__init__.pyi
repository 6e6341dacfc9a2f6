from . import motion as motion
from .frames_in_memory import FramesInMemory as FramesInMemory
