"""Every action a rule may have: one file each, and one line in this table."""

from __future__ import annotations

from collections.abc import Mapping

from engine.actions.annotate import AnnotateAction, LabelAction
from engine.actions.apply import ApplyAction
from engine.actions.base import Action, Cause, Effect, MetadataWrite, Need
from engine.actions.check import AssertAction
from engine.actions.delete import DeleteAction
from engine.actions.event import EventAction
from engine.actions.http import HttpAction
from engine.actions.metric import MetricAction
from engine.actions.patch import PatchAction
from engine.actions.scale import ScaleAction
from engine.actions.wait import WaitAction

ACTIONS: Mapping[str, type[Action]] = {
    action.name: action
    for action in (
        AnnotateAction, ApplyAction, AssertAction, DeleteAction, EventAction, HttpAction, LabelAction, MetricAction,
        PatchAction, ScaleAction, WaitAction,
    )
}  # fmt: skip

__all__ = ["ACTIONS", "Action", "Cause", "Effect", "MetadataWrite", "Need"]
