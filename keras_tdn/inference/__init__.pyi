from .folding import can_fold as can_fold
from .inference_network import FoldedNetwork as FoldedNetwork, folded_network as folded_network
