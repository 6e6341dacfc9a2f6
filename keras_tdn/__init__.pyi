from . import (
    data as data,
    datasets as datasets,
    demo as demo,
    evaluation as evaluation,
    explaining as explaining,
    export as export,
    inference as inference,
    labelling as labelling,
    labels as labels,
    layers as layers,
    models as models,
    prediction as prediction,
    pretrained as pretrained,
    profiling as profiling,
    specs as specs,
    training as training,
    watching as watching,
    web as web,
)
from .models import TDNResNet as TDNResNet, TDNResNet50 as TDNResNet50, TDNResNet101 as TDNResNet101
from .prediction import (
    Prediction as Prediction,
    decode_predictions as decode_predictions,
    predict_video as predict_video,
)
from .specs import ClipSpec as ClipSpec, Normalization as Normalization, ViewSpec as ViewSpec
from .version import __version__ as __version__
