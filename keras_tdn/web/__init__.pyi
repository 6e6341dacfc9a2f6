from .page import Shown as Shown
from .serving import serve as serve
from .showing import show_video as show_video
from .uploads import UploadLimits as UploadLimits, check_upload as check_upload
