"""Least squares over any stretch of rows, from sums kept by blocks: a refit each week costs next to nothing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BLOCK_ROWS = 1440


class RowSums:
    """Sums of products of the columns of a matrix over any range of its rows.

    Args:
        matrix: float64 [n, p]; a row that must not count is all zero.
    """

    def __init__(self, matrix: Floats) -> None:
        self.matrix = matrix
        whole = len(matrix) // BLOCK_ROWS
        blocks = matrix[: whole * BLOCK_ROWS].reshape(whole, BLOCK_ROWS, matrix.shape[1])
        products = np.matmul(blocks.transpose(0, 2, 1), blocks)
        self._prefix = np.concatenate([np.zeros((1, *products.shape[1:])), np.cumsum(products, axis=0)])

    def between(self, start: int, stop: int) -> Floats:
        """Sums over rows start <= i < stop, float64 [p, p]."""
        first, last = -(-start // BLOCK_ROWS), min(stop // BLOCK_ROWS, len(self._prefix) - 1)
        if first >= last:
            piece = self.matrix[start:stop]
            return piece.T @ piece
        head = self.matrix[start : first * BLOCK_ROWS]
        tail = self.matrix[last * BLOCK_ROWS : stop]
        total: Floats = self._prefix[last] - self._prefix[first] + head.T @ head + tail.T @ tail
        return total

    def over(self, ranges: Iterable[tuple[int, int]]) -> Floats:
        """Sums over several ranges of rows."""
        width = self.matrix.shape[1]
        return sum((self.between(start, stop) for start, stop in ranges), np.zeros((width, width)))


def ridge(sums: Floats, inputs: int, target: int, penalty: float) -> Floats:
    """Weights of a ridge regression, of standardized inputs and without a penalty on the intercept.

    Args:
        sums: Sums of products [p, p]; column 0 is 1 on every row that counts, inputs are columns 1 to ``inputs``.
        inputs: How many inputs.
        target: Column of the target.
        penalty: In units of the number of rows (A. E. Hoerl and R. W. Kennard, 1970).

    Returns:
        float64 [1 + inputs], the intercept first, for inputs as they are.
    """
    count = max(float(sums[0, 0]), 1.0)
    chosen = slice(1, 1 + inputs)
    mean = sums[0, chosen] / count
    covariance = sums[chosen, chosen] / count - np.outer(mean, mean)
    spread = np.sqrt(np.maximum(np.diag(covariance), 1e-18))
    goal = sums[chosen, target] / count - mean * (sums[0, target] / count)
    scaled = covariance / np.outer(spread, spread) + penalty * np.eye(inputs)
    weights = np.linalg.solve(scaled, goal / spread) / spread
    return np.concatenate([[sums[0, target] / count - mean @ weights], weights])


def squared_error(sums: Floats, weights: Floats, target: int) -> float:
    """Mean squared error of a linear forecast with these weights over the rows that were summed."""
    width = len(weights)
    count = max(float(sums[0, 0]), 1.0)
    total = (
        sums[target, target] - 2.0 * weights @ sums[:width, target] + weights @ sums[:width, :width] @ weights
    )
    return float(total) / count
