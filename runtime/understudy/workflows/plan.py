"""A checked workflow: the same tree, with what the check found out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from understudy.workflows.nodes import AnyWorkflow


class PlanNode(msgspec.Struct, frozen=True, eq=False):
    """One node of a checked workflow.

    Args:
      node: what the user declared.
      path: where it stands, as names joined by ``/``; unique in the workflow.
      label: its label in its parent: its own name, or a branch's label.
      needs: the names it may read, and whether each must exist; None for all
        that are in scope.
      input_type: for a child, the input that its workflow takes.
      output_type: the type of its value, as far as it is declared.
      certain: whether it always has a value once its turn is over.
      multiplicity: the most messages that one run can have here at once.
      children: the nodes inside, in the order of `Workflow.parts`.
    """

    node: AnyWorkflow
    path: str
    label: str
    needs: Mapping[str, bool] | None
    input_type: object
    output_type: object
    certain: bool
    multiplicity: int
    children: tuple[PlanNode, ...]

    def walk(self) -> Iterator[PlanNode]:
        """Yield this node and all below it, from the top, in order."""
        stack: list[PlanNode] = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))


class Plan(msgspec.Struct, frozen=True, eq=False):
    """A workflow that can run.

    Args:
      workflow: what the user declared.
      root: its checked tree.
      input_type: the run's input, as far as a step declares it.
      deps_types: the dependencies that steps declare.
    """

    workflow: AnyWorkflow
    root: PlanNode
    input_type: object
    deps_types: tuple[object, ...]
