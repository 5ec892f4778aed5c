"""Synthetic hearts: ten parametric structures whose surfaces are known exactly."""

from vecsetx.anatomy.phantom.heart import STRUCTURES, PhantomHeart
from vecsetx.anatomy.phantom.parameters import Parameters

__all__ = ["STRUCTURES", "Parameters", "PhantomHeart"]
