"""What options can be chosen from, and names that more than one part of the package goes by.

The command line offers them without importing what they are chosen for.
"""

# Of lists of records, as `load_records` takes them.
RECORD_FORMATS = (
    "list",
    "something_something_v1",
    "something_something_v2",
    "ucf101",
    "csv",
    "kinetics",
    "hmdb51",
    "folders",
)
# Seconds that checking one file may take.
CHECK_TIME_LIMIT = 60.0

# Names of `keras_tdn.training.recipes`.
RECIPES = ("finetune_small", "kinetics400", "motion", "something_something")
# Of a model, in the order in which pixels meet them. The motion path is worked on as long as stage
# 1 is.
PARTS = ("stem", "stage1", "stage2", "stage3", "stage4", "classifier")
AUTO = "auto"

# Precisions of a network that is folded for inference, in an export or to label videos.
FOLDED_DTYPES = ("float32", "bfloat16")

# Of `keras-tdn demo`, those of the recipe `motion`.
DEMO_EPOCHS = 7
DEMO_OUTPUT = "keras_tdn_demo"

# What a file is by its name: a whole model, or the weights of one.
MODEL_SUFFIX = ".keras"
WEIGHTS_SUFFIX = ".weights.h5"


def check_folded_dtype(dtype: str) -> None:
    """Raises a `ValueError` unless a network folded for inference may compute in it."""
    if dtype not in FOLDED_DTYPES:
        raise ValueError(
            f"An exported or folded network computes in one of {list(FOLDED_DTYPES)}. "
            f"Received: dtype={dtype!r}"
        )
