from .result import DemoResult as DemoResult, DemoSettings as DemoSettings
from .run import run_demo as run_demo
