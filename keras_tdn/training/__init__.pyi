from . import callbacks as callbacks, recipes as recipes
from .callbacks import (
    TrainingDivergedError as TrainingDivergedError,
    TrainingState as TrainingState,
    load_checkpoint as load_checkpoint,
)
from .distribution import (
    Devices as Devices,
    device_scope as device_scope,
    join_processes as join_processes,
    keep_tensorflow_off_gpus as keep_tensorflow_off_gpus,
)
from .freezing import (
    freeze_batch_norms as freeze_batch_norms,
    freeze_until as freeze_until,
    synchronize_batch_norms as synchronize_batch_norms,
    unfreeze as unfreeze,
)
from .optimizer import CoupledSGD as CoupledSGD
from .recipe import Recipe as Recipe
from .schedules import (
    CosineDecay as CosineDecay,
    ProportionalStepDecay as ProportionalStepDecay,
    StepDecay as StepDecay,
    WarmUp as WarmUp,
)
from .training_result import TrainingResult as TrainingResult, plot_history as plot_history
from .training_run import train as train
