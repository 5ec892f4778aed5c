"""Importing this module imports all of vecsetx, for processes that others are forked from."""

import importlib
import pkgutil

import vecsetx

for _module in pkgutil.walk_packages(vecsetx.__path__, "vecsetx."):
    if not _module.name.endswith("__main__"):
        importlib.import_module(_module.name)
