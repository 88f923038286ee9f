"""Compares two tables column by column: is a difference more than chance, and large enough to matter?

Numbers are compared with the two-sample Kolmogorov-Smirnov test, names with the chi-squared test, whose p-value is
simulated. The false discovery rate over all columns is held to `MAX_FALSE` (Benjamini and Hochberg,
https://doi.org/10.1111/j.2517-6161.1995.tb02031.x). In large tables any difference is significant, so it must be large
too.

SciPy does this, which the pipeline needs anyway. Evidently 0.7.23, made for it, cannot be imported: it uses a private
part of pandas that pandas 3.1 no longer has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

FEWEST = 30
"""Rows that either table must have for a verdict."""
MAX_FALSE = 0.01
"""The largest expected share of false alarms among the columns that are said to have drifted."""
SMALLEST_EFFECT = 0.2
"""The smallest difference that matters: a fifth of the rows are elsewhere."""

_SIMULATED = 9999
_BINS = 20
_MOST_NAMED = 3


@dataclass(frozen=True)
class Column:
    """What is compared.

    Attributes:
        name: The column in both tables.
        title: What it is, in words: "the duration".
        unit: Comes after a number; empty for a plain one.
    """

    name: str
    title: str
    unit: str = ""


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram.

    Attributes:
        name: A number or a label.
        reference: Share of the reference, in [0, 1].
        asked: Share of what was asked, in [0, 1].
    """

    name: str
    reference: float
    asked: float


@dataclass(frozen=True)
class Finding:
    """The comparison of one column.

    Attributes:
        column: Its name.
        drifted: Whether it differs by more than chance, and by enough to matter.
        effect: How much it differs, in [0, 1]: the largest difference of the shares below a number
            (Kolmogorov-Smirnov), or the share that has moved to other labels (total variation).
        p_value: How likely chance makes as large a difference, adjusted for the number of columns.
        num_reference: Rows of the reference.
        num_asked: Rows of what was asked.
        sentence: The difference in words.
        bars: Both distributions.
    """

    column: str
    drifted: bool
    effect: float
    p_value: float
    num_reference: int
    num_asked: int
    sentence: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class _Compared:
    effect: float
    p_value: float
    bars: tuple[Bar, ...]
    words: str


def compare_tables(
    pairs: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], columns: Mapping[str, tuple[Column, ...]]
) -> list[Finding]:
    """Compares the columns that both tables of a pair have, in one family of tests.

    Args:
        pairs: The reference and what was asked, by what they are about. A column with fewer than `FEWEST` values in
            either is not compared.
        columns: What to compare, for each of the pairs.

    Returns:
        A finding for each column, those that drifted first, each part by its effect.
    """
    found = [
        (column, before.size, now.size, _compare(column, before, now))
        for about, (reference, asked) in pairs.items()
        for column in columns[about]
        if column.name in reference and column.name in asked
        for before, now in [(reference[column.name].dropna(), asked[column.name].dropna())]
        if min(before.size, now.size) >= FEWEST
    ]
    if not found:
        return []
    adjusted = stats.false_discovery_control([compared.p_value for *_, compared in found])
    findings = [
        _finding(column, num_reference, num_asked, compared, float(p_value))
        for (column, num_reference, num_asked, compared), p_value in zip(found, adjusted, strict=True)
    ]
    return sorted(findings, key=lambda each: (not each.drifted, -each.effect))


def _finding(column: Column, num_reference: int, num_asked: int, compared: _Compared, p_value: float) -> Finding:
    drifted = p_value <= MAX_FALSE and compared.effect >= SMALLEST_EFFECT
    return Finding(
        column.name, drifted, compared.effect, p_value, num_reference, num_asked,
        f"{column.title} {'has drifted' if drifted else 'has not drifted'}: {compared.words} "
        f"(effect {compared.effect:.2f}, p = {p_value:.2g})",
        compared.bars,
    )  # fmt: skip


def _compare(column: Column, reference: pd.Series, asked: pd.Series) -> _Compared:
    if pd.api.types.is_numeric_dtype(reference.dtype) and not pd.api.types.is_bool_dtype(reference.dtype):
        return _numbers(column, reference.to_numpy(float), asked.to_numpy(float))
    return _names(reference.astype(str), asked.astype(str))


def _numbers(column: Column, reference: NDArray[np.float64], asked: NDArray[np.float64]) -> _Compared:
    tested = stats.ks_2samp(reference, asked, method="asymp")
    before, now = (f"{np.median(each):.3g}{column.unit}" for each in (reference, asked))
    words = f"the median is {now}, of the reference {before}" if now != before else f"the median is {now} as before"
    edges = np.histogram_bin_edges(np.concatenate([reference, asked]), _BINS)
    shares = [np.histogram(each, edges)[0] / len(each) for each in (reference, asked)]
    bars = [
        Bar(f"{edge:.3g}{column.unit}", float(was), float(now_is))
        for edge, was, now_is in zip(edges[:-1], *shares, strict=True)
    ]
    return _Compared(float(tested.statistic), float(tested.pvalue), tuple(bars), words)


def _names(reference: pd.Series, asked: pd.Series) -> _Compared:
    counts = pd.DataFrame({"reference": reference.value_counts(), "asked": asked.value_counts()}).fillna(0).astype(int)
    shares = counts / counts.sum()
    change = (shares["asked"] - shares["reference"]).sort_values(key=abs, ascending=False)
    bars = tuple(Bar(str(name), shares["reference"][name], shares["asked"][name]) for name in change.index)
    words = ", ".join(
        f"'{bar.name}' is {bar.asked:.0%}, of the reference {bar.reference:.0%}" for bar in bars[:_MOST_NAMED]
    )
    if len(counts) == 1:
        return _Compared(0.0, 1.0, bars, words)
    # Few rows in many labels: the test's own formula does not hold, so tables with the same sums are drawn.
    method = stats.MonteCarloMethod(n_resamples=_SIMULATED, rng=np.random.default_rng(0))
    tested = stats.chi2_contingency(counts.T.to_numpy(), correction=False, method=method)
    return _Compared(float(change.abs().sum() / 2), float(tested.pvalue), bars, words)
