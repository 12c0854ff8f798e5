"""Paths of evidence: how much of a flow from one treatment to another each edge contributes.

The flow of a comparison a : b sends 1 from a to b along the edges of the network (Ohm's law, Rücker 2012); it has no
cycles where all weights are positive. It is a mixture of paths π with weights φ_π, and an edge contributes
Σ φ_π / |π| over the paths through it, so that contributions sum to 1 (Papakonstantinou T et al., F1000Research
2018;7:610). The mixture is not unique; every one below has Σ |φ_π| = 1, the least possible (Rücker G et al., Stat Med
2024;43:4287):

- `shortest_path` takes the shortest path, gives it the smallest flow on it, subtracts, and goes on;
- `random_walk` follows a walker that leaves each treatment in proportion to the flow (Davies AL et al., Stat Med
  2022;41:2091), summed over path lengths instead of over paths;
- `least_length` is the linear programme that gives short paths as much as any mixture can, Σ φ_π / |π| at its maximum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order

from enthesis.errors import ModelError, UsageError

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
#: flows below this share of the comparison are rounding
LEAST_FLOW = 1e-10
#: variables of the linear programme; above, it takes minutes per comparison
MOST_VARIABLES = 200_000


def shortest_path(tail: Ints, head: Ints, flow: Array, source: int, sink: int, size: int) -> Array:
    """Contributions of the edges by successive shortest paths.

    Paths of equal length are taken in the order of a breadth-first search in which treatments are numbered as they
    appear in the list of edges; `netmeta` does the same. Other orders give slightly different contributions (below 0.02
    in the networks of `validation/netmeta`).

    Parameters
    ----------
    tail, head : int arrays, shape (edges,)
        Direction in which each edge flows; edges without flow as listed.
    flow : float array, shape (edges,)
        Not negative.
    source, sink, size : int
        Positions of the two treatments, number of treatments.

    Returns
    -------
    float array, shape (edges,)
        Sums to 1.
    """
    label = _appearance(tail, head, size)
    on = np.flatnonzero(flow > LEAST_FLOW)
    order = on[np.lexsort((label[head[on]], label[tail[on]]))]
    u, v = label[tail[order]], label[head[order]]
    starts = np.searchsorted(u, np.arange(size + 1))
    graph = csr_array((np.ones(len(order)), v.astype(np.int32), starts.astype(np.int32)), shape=(size, size))
    position = {step: i for i, step in enumerate(zip(u.tolist(), v.tolist(), strict=True))}
    left, given = flow[order].tolist(), [0.0] * len(order)
    start, end = int(label[source]), int(label[sink])
    while True:
        before = breadth_first_order(graph, start, directed=True, return_predecessors=True)[1]
        if before[end] < 0:
            break
        steps, node = [], end
        while node != start:
            last = int(before[node])
            steps.append(position[last, node])
            node = last
        least = min(left[i] for i in steps)
        for i in steps:
            left[i] -= least
            given[i] += least / len(steps)
            if left[i] <= LEAST_FLOW:
                # an edge without flow becomes a loop, which no search follows
                graph.indices[i] = u[i]
    out = np.zeros(len(flow))
    out[order] = given
    return out / out.sum()


def _appearance(tail: Ints, head: Ints, size: int) -> Ints:
    """Number of each treatment by its first appearance in the list of edges."""
    order = np.stack([tail, head], axis=1).ravel()
    seen, first = np.unique(order, return_index=True)
    label = np.empty(size, dtype=np.int64)
    label[seen[np.argsort(first)]] = np.arange(len(seen))
    return label


def random_walk(tail: Ints, head: Ints, flow: Array, source: int, sink: int, size: int) -> Array:
    """Contributions of the edges by a random walk along the flow.

    With F_j(u) the probability of being at u after j steps and B_k(v) that of reaching the sink from v in k more, an
    edge u → v contributes p(u, v) Σ_jk F_j(u) B_k(v) / (j + 1 + k). Linear in edges times the longest path.

    Parameters
    ----------
    tail, head, flow, source, sink, size
        As in `shortest_path`.

    Returns
    -------
    float array, shape (edges,)
        Sums to 1.
    """
    on = np.flatnonzero(flow > LEAST_FLOW)
    u, v, f = tail[on], head[on], flow[on]
    leaving = np.bincount(u, f, size)
    p = f / leaving[u]
    forward, backward = [np.zeros(size)], [np.zeros(size)]
    forward[0][source] = backward[0][sink] = 1.0
    while (step := np.bincount(v, p * forward[-1][u] * (u != sink), size)).any():
        forward.append(step)
        if len(forward) > size:
            raise ModelError("the flow of evidence runs in a circle; paths cannot be counted.")
    for _ in range(len(forward) - 1):
        backward.append(np.bincount(u, p * backward[-1][v], size) * (np.arange(size) != sink))
    F, B = np.array(forward), np.array(backward)
    j = np.arange(len(F))
    mixed = F.T @ (1.0 / (j[:, None] + 1.0 + j[None, :]))
    out = np.zeros(len(flow))
    out[on] = p * np.sum(mixed[u] * B.T[v], axis=1)
    return out / out.sum()


def least_length(tail: Ints, head: Ints, flow: Array, source: int, sink: int, size: int) -> Array:
    """Contributions of the edges under the mixture of paths with the largest Σ φ_π / |π| (linear programme).

    Paths are not listed: a path of length l is a walk through l copies of the network, one per step.

    Parameters
    ----------
    tail, head, flow, source, sink, size
        As in `shortest_path`.

    Returns
    -------
    float array, shape (edges,)
        Sums to 1.

    Raises
    ------
    UsageError
        When the programme is too large for the network.
    """
    on = np.flatnonzero(flow > LEAST_FLOW)
    u, v, f = tail[on], head[on], flow[on]
    after, before = _reach(u, v, source, size), _reach(v, u, sink, size)
    longest = max(j for j, at in enumerate(after) if at[sink])
    columns = []
    for length in range(1, longest + 1):
        for step in range(1, length + 1):
            possible = after[step - 1][u] & before[length - step][v] & (u != sink) & (v != source)
            e = np.flatnonzero(possible)
            columns.append(np.stack([np.full(len(e), length), np.full(len(e), step), e]))
        if sum(c.shape[1] for c in columns) > MOST_VARIABLES:
            raise UsageError("the network is too large for the contribution method 'L1'; use 'shortest path'.")
    length, step, e = np.concatenate(columns, axis=1)
    n = len(e)
    # node balance inside each copy: what arrives at a node in a step leaves it in the next
    key = (length * (longest + 2) + step) * size
    arrives = (v[e] != sink) | (step < length)
    leaves = step > 1
    cells = np.concatenate([(key + v[e])[arrives], (key - size + u[e])[leaves]])
    nodes, row = np.unique(cells, return_inverse=True)
    col = np.concatenate([np.flatnonzero(arrives), np.flatnonzero(leaves)])
    value = np.concatenate([np.ones(arrives.sum()), -np.ones(leaves.sum())])
    rows = np.concatenate([e, len(on) + row])
    cols = np.concatenate([np.arange(n), col])
    A = coo_array((np.concatenate([np.ones(n), value]), (rows, cols)), shape=(len(on) + len(nodes), n)).tocsr()
    b = np.concatenate([f, np.zeros(len(nodes))])
    gain = np.where(step == 1, 1.0 / length, 0.0)
    solved = linprog(-gain, A_eq=A, b_eq=b, method="highs")
    if not solved.success:
        raise ModelError(f"the linear programme for the paths of evidence failed: {solved.message}")
    out = np.zeros(len(flow))
    np.add.at(out, on[e], solved.x / length)
    return out / out.sum()


def _reach(u: Ints, v: Ints, start: int, size: int) -> list[NDArray[np.bool_]]:
    """Nodes reached from `start` in exactly 0, 1, 2, ... steps."""
    now = np.zeros(size, bool)
    now[start] = True
    steps = [now]
    while now.any() and len(steps) <= size:
        now = np.bincount(v[now[u]], minlength=size) > 0
        steps.append(now)
    return steps


def without_circles(tail: Ints, head: Ints, flow: Array, size: int) -> Array:
    """The flow without circles, which negative weights of multi-arm studies can cause."""
    flow = flow.copy()
    while (circle := _circle(tail, head, flow, size)) is not None:
        flow[circle] -= flow[circle].min()
    return flow


def _circle(tail: Ints, head: Ints, flow: Array, size: int) -> list[int] | None:
    on = np.flatnonzero(flow > LEAST_FLOW)
    arriving = np.bincount(head[on], minlength=size)
    leaves: dict[int, list[int]] = {}
    for e in on.tolist():
        leaves.setdefault(int(tail[e]), []).append(e)
    ready = [n for n in range(size) if arriving[n] == 0]
    for n in ready:
        for e in leaves.pop(n, []):
            arriving[head[e]] -= 1
            if arriving[head[e]] == 0:
                ready.append(int(head[e]))
    if not leaves:
        return None
    # every node that is left is entered from a node that is left: walk against the flow until one comes twice
    enters = {int(head[e]): e for edges in leaves.values() for e in edges}
    node, walked = next(n for n in enters if n in leaves), {}
    while node not in walked:
        walked[node] = enters[node]
        node = int(tail[enters[node]])
    circle, at = [], node
    while True:
        circle.append(walked[at])
        at = int(tail[walked[at]])
        if at == node:
            return circle
