from .portable import export_portable as export_portable
from .saved_model import export_saved_model as export_saved_model
