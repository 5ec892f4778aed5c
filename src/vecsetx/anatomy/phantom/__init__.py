"""Synthetic hearts: ten parametric structures whose surfaces are known exactly."""

from vecsetx.anatomy.phantom.parameters import Parameters
from vecsetx.anatomy.phantom.phantom_heart import STRUCTURES, PhantomHeart

__all__ = ["STRUCTURES", "Parameters", "PhantomHeart"]
