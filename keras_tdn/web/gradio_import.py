"""Gradio, imported where it is needed and told to keep to itself."""

from __future__ import annotations

import os
from typing import Any

# Read by Gradio when it is imported; some are not to be had in another way in all of its releases.
SETTINGS = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_RUN_HISTORY": "False",
    "GRADIO_SHARE": "False",
    "GRADIO_SSR_MODE": "False",
    "GRADIO_MCP_SERVER": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def import_gradio() -> Any:
    """The module, which neither reports what it is used for nor keeps a history of it.

    Raises:
        ImportError: if it is not installed.
    """
    os.environ.update(SETTINGS)
    try:
        import gradio
    except ImportError as error:
        raise ImportError(
            f"The web demo needs Gradio ({error}): pip install 'keras-tdn[web]'"
        ) from error
    return gradio
