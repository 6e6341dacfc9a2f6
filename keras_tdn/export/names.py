"""What a server is asked by: the names of the signatures."""

SERVING_DEFAULT = "serving_default"
ENCODED_FRAMES = "encoded_frames"
FEATURES = "features"
DESCRIBE = "describe"
